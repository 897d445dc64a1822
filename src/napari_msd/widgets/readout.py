"""Texts of the status line and the progress bar: figures, advice, next step, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.widgets.class_list import MAX_MARGIN, iou_text

if TYPE_CHECKING:
    from napari_msd.trainer.messages import Progress, Ready

_WORK_HINTS = {
    "update": "Training for a few seconds, then updating the segmentation. Stop ends it.",
    "predict": "Segmenting the whole image. Stop ends it and keeps what is done.",
}
WORK = {"update": "Updating", "predict": "Predicting"}


STARVED = (
    "Other programs use nearly all of the processor: training runs at less than a tenth of its "
    "usual speed. It continues by itself."
)


def figures(ready: Ready | None, progress: Progress | None, score: float | None = None) -> str:
    """``IoU .84 · 64 steps/s · CPU AVX-512``.

    `score` is that of the current network, shown until the trainer reports a newer one.
    """
    parts = []
    if progress is not None and progress.best_score is not None:
        score = progress.best_score
    if score is not None:
        parts.append(f"IoU {iou_text(score)}{_reliability(progress)}")
    if progress is not None and progress.state == "training" and progress.steps_per_second > 0:
        rate = progress.steps_per_second
        parts.append(f"{rate:.0f} steps/s" if rate >= 10 else f"{rate:.1f} steps/s")
    if ready is not None:
        parts.append(ready.device)
    return " · ".join(parts)


def _reliability(progress: Progress | None) -> str:
    """A remark if the mean IoU is measured on too few strokes to be reliable."""
    if progress is None or not progress.held_out_iou:
        return ""
    known = (progress.iou_margin.get(value, 1.0) for value in progress.held_out_iou)
    return "" if all(margin < MAX_MARGIN for margin in known) else " (few strokes)"


def figures_tooltip(ready: Ready | None) -> str:
    """Why this device is used, and the versions in use."""
    if ready is None:
        return "The trainer is starting."
    versions = ", ".join(f"{name} {number}" for name, number in ready.versions.items())
    return "\n".join(filter(None, (ready.reason, versions)))


def advice(progress: Progress | None, names: dict[int, str]) -> str:
    """Advice on a busy processor, a falling score, or too few strokes of a class."""
    if progress is None:
        return ""
    if progress.starved:
        return STARVED
    if not progress.step:
        return ""
    if progress.warning:
        return progress.warning
    few = sorted((number, value) for value, number in progress.unmeasured.items())
    if not few:
        return ""
    _, value = few[0]
    name = names.get(value, f"class {value}")
    return f"Too little of “{name}” is painted to measure its IoU: paint more of it."


def bar(work: str, live: bool, progress: Progress | None) -> tuple[int, str]:
    """Value (0..100) and text of the progress bar."""
    if work:
        fraction = progress.fraction if progress is not None else None
        left = progress.seconds_left if progress is not None else None
        percent = round(100 * min(max(fraction or 0.0, 0.0), 1.0))
        name = WORK.get(work, work)
        return percent, f"{name} · {time_left(left)}" if left is not None else f"{name} …"
    if live and progress is not None and progress.step:
        return 0, f"step {progress.step:,}".replace(",", "\u202f")
    return 0, ""


def time_left(seconds: float) -> str:
    """``about 12 s left``, rounded to what is known."""
    if seconds < 1.5:
        return "almost done"
    if seconds < 90:
        return f"about {round(seconds)} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {round(seconds / 3600)} h left"


def hint(
    *,
    image: bool,
    problem: str,
    annotation: bool,
    brush: bool,
    n_painted: int,
    live: bool,
    work: str,
    trained: bool,
    flat: bool,
    resting: bool,
) -> str:
    """A sentence with the next step for the user."""
    if not image:
        return "Open an image first: File → Open, or a sample from File → Open Sample → MS-D."
    if problem:
        return problem
    if not annotation:
        return "Press + to make an annotation layer and start painting."
    if work:
        return _WORK_HINTS.get(work, "")
    if n_painted < 2 and not brush:
        return "Click a class, or press its number, to paint it; at least two classes are needed."
    if n_painted == 0:
        then = "the network starts at once." if live else "then press Live."
        return f"Paint a few strokes of at least two classes, {then}"
    if n_painted == 1:
        then = "the network starts at once." if live else "then press Live."
        return f"Paint a second class too (keys 1 to 9 pick one), {then}"
    if not flat:
        return "This view cuts across slices. You can paint, but slices are segmented one by one."
    if live and resting:
        return (
            "The network no longer improves, so training pauses until your next stroke. "
            "Show me finds where a stroke helps most."
        )
    if live and not brush:
        return "Click a class, or press its number, and paint where the segmentation is wrong."
    if live:
        return "Paint where the segmentation is wrong; the network learns while you paint."
    if trained:
        return (
            "Press Live to continue training, Predict all to segment the whole image, "
            "or export the labels."
        )
    return "Press Live: the network learns while you keep painting."
