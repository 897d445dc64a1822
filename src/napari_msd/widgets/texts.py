"""Texts of the widgets: tooltips, Live's states, class list, status line and progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.session.keys import HIDE_KEY, LIVE_KEY, NEXT_KEY
from napari_msd.session.work_state import LiveState

if TYPE_CHECKING:
    from napari_msd.session.classes import ClassInfo
    from napari_msd.trainer.messages import Progress, Ready

TOOLTIPS = {
    "preset_combo": (
        "quick answers within seconds (30 layers); balanced is better after a minute (50 layers); "
        "paper is the network of Pelt & Sethian 2018 (100 layers)"
    ),
    "device_combo": (
        "auto uses the fastest available: compiled CUDA, compiled CPU, then PyTorch. "
        "The line above the plot shows which one is in use; its tooltip says why."
    ),
    "image_combo": "The image to segment",
    "annotation_combo": "The Labels layer that holds your strokes",
    "new_annotation_button": "Make an annotation layer for this image and start painting",
    "add_class_button": "Add a class",
    "remove_class_button": "Remove the picked class and erase its strokes (undo works)",
    "continue_button": (
        "This image starts with a new network. This button continues from the network trained "
        "on the other image, and adapts it to the grey values of this one"
    ),
    "merge_class_button": "Give the picked class's strokes to another class (undo works)",
    "update_once_button": "Train for a few seconds, then stop",
    "stop_button": "Stop all work; the best network and the segmentation stay",
    "predict_all_button": "Segment the whole image with the best network",
    "show_me_button": (
        f"Go to where the network is most uncertain: strokes help most there. Key: {NEXT_KEY}"
    ),
    "uncertainty_button": "Show where the network is uncertain (bright)",
    "history_button": "Earlier versions of the network; go back to any of them",
    "start_over_button": "Discard the network and keep the strokes",
    "copy_button": "Copy the segmentation to a Labels layer you can edit",
    "export_button": (
        "Save the segmentation as TIFF (with pixel size and class names), PNG or NPY"
    ),
    "save_model_button": "Save the best network as .safetensors",
    "load_model_button": (
        "Load a saved model: it predicts this image at once, and Live continues its training "
        "with your strokes here"
    ),
    "live_button": (
        "Train on your strokes and update the segmentation until you switch Live off. "
        f"Key: {LIVE_KEY}. Hold {HIDE_KEY} to see the image without the segmentation."
    ),
}
"""Tooltips of the panel's controls, by object name."""

LIVE_TEXTS = {
    LiveState.OFF: "press to train while you paint",
    LiveState.STARTING: "starting the trainer …",
    LiveState.WAITING: "paint two classes to begin",
    LiveState.TRAINING: "training",
    LiveState.IDLE: "idle: waiting for strokes",
    LiveState.PAUSED: "paused during Predict all",
    LiveState.STOPPING: "stopping …",
}
"""What the Live switch shows in each state."""

_NARROW_SPACE = "\u202f"
"""Narrow no-break space."""
MAX_MARGIN = 0.25
"""An IoU with a margin of this or more is not shown."""
_WORK_HINTS = {
    "update": "Training for a few seconds, then updating the segmentation. Stop ends it.",
    "predict": "Segmenting the whole image. Stop ends it and keeps what is done.",
}
WORK = {"update": "Updating", "predict": "Predicting"}


STARVED = (
    "Other programs use nearly all of the processor: training runs at less than a tenth of its "
    "usual speed. It continues by itself."
)


def tooltip(name: str, reason: str) -> str:
    """Tooltip of a button; `reason` says why it is disabled, empty if it is enabled."""
    return f"{TOOLTIPS[name]}\n\nNot now: {reason}" if reason else TOOLTIPS[name]


def continue_from(image: str) -> str:
    """Text of the button that continues from the network of the image named `image`."""
    return f"Continue from the network of “{image}”"


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
    idle: bool,
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
        then = "; training then starts at once." if live else ", then press Live."
        return f"Paint a few strokes of at least two classes{then}"
    if n_painted == 1:
        then = "; training then starts at once." if live else ", then press Live."
        return f"Paint a second class too (keys 1 to 9 pick one){then}"
    if not flat:
        return "This view cuts across slices. You can paint, but slices are segmented one by one."
    if live and idle:
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


def iou_text(iou: float | None) -> str:
    """``.91``, as in published tables; a dash if it is unknown."""
    if iou is None:
        return "–"
    return "1.0" if iou >= 0.995 else f"{iou:.2f}"[1:]


def score_text(info: ClassInfo) -> str:
    """``IoU .91 ±.05``, or words if too little is held out to measure it."""
    if info.iou is None:
        return "too little yet" if info.too_few else "–"
    if info.margin is None or info.margin >= MAX_MARGIN:
        return "too little yet"
    return f"IoU {iou_text(info.iou)} ±{iou_text(info.margin)}"


def pixels_text(pixels: int) -> str:
    """``9 876 px``, ``118 k px`` or ``1.2 M px``: never more than eight characters."""
    if pixels < 10_000:
        return f"{pixels:,} px".replace(",", _NARROW_SPACE)
    if pixels < 999_500:
        return f"{pixels / 1e3:.0f}{_NARROW_SPACE}k px"
    if pixels < 9.95e6:
        return f"{pixels / 1e6:.1f}{_NARROW_SPACE}M px"
    return f"{pixels / 1e6:.0f}{_NARROW_SPACE}M px"


def class_tooltip(info: ClassInfo) -> str:
    """Tooltip of a class in the class list."""
    key = f"Key {info.value}: p" if info.value <= 9 else "P"
    return (
        f"{key}aint {info.name}. Click to pick it, double-click to rename, "
        f"click the colour to change it.\n{_measured_on(info)}"
    )


def _measured_on(info: ClassInfo) -> str:
    """How the IoU was measured."""
    if info.iou is None:
        if info.too_few:
            return "Too little of this class is painted to measure its IoU: paint more of it."
        return "Its IoU (0 to 1) is measured on held-out strokes as soon as there is a network."
    plural = "" if info.measured_on == 1 else "s"
    text = f"IoU {info.iou:.2f}, measured on {info.measured_on} held-out piece{plural} of strokes"
    if info.margin is None or info.margin >= MAX_MARGIN:
        return f"{text}: too few to know the margin of error. Paint more of this class."
    low, high = max(info.iou - info.margin, 0), min(info.iou + info.margin, 1)
    return f"{text}: likely between {low:.2f} and {high:.2f}."
