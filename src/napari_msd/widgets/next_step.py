"""The one sentence that says what to do next, and the one action that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from napari_msd.trainer.messages import Progress

_WORK = {
    "update": "Training for a few seconds, then updating the segmentation. Stop ends it.",
    "predict": "Segmenting the whole image. Stop ends it and keeps what is done.",
}
STARVED = (
    "Other programs use nearly all of the processor: training runs at less than a tenth of its "
    "usual speed. It continues by itself."
)


class NextStep(NamedTuple):
    """A sentence and its action.

    `action` is ``new`` (make a layer for strokes), ``paint`` (take the brush), or empty: Show me.
    """

    text: str
    action: str = ""


def next_step(
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
    slow_view: bool = False,
) -> NextStep:
    """What the user can do next.

    Parameters
    ----------
    image, annotation
        Whether they are chosen.
    problem
        Why the image cannot be used; empty if it can.
    brush
        Whether a painting tool is active.
    n_painted
        Number of classes that have strokes.
    live, work, idle
        Whether Live is on; which one-off task runs; whether training pauses until a stroke.
    trained
        Whether there is a network.
    flat
        Whether the view shows planes, not a cut across them.
    slow_view
        Whether updating the visible part takes long.
    """
    if not image:
        return NextStep("Open an image first, or try a sample.")
    if problem:
        return NextStep(problem)
    if not annotation:
        return NextStep("Press New to make a layer for strokes, and start painting.", "new")
    if work:
        return NextStep(_WORK.get(work, ""))
    take = "" if brush else "paint"
    then = "; training then starts at once." if live else ", then press Live."
    if n_painted < 2 and not brush:
        return NextStep(
            "Click a class, or press its number, to paint it; paint at least two.", take
        )
    if n_painted == 0:
        return NextStep(f"Paint a few strokes of at least two classes{then}", take)
    if n_painted == 1:
        return NextStep(f"Paint a second class too (keys 1 to 9 pick one){then}", take)
    if not flat:
        return NextStep(
            "This view cuts across slices. You can paint, but slices are segmented one by one."
        )
    if live and idle:
        return NextStep(
            "It no longer improves: training rests until your next stroke. Show me finds a place."
        )
    if live and not brush:
        return NextStep("Click a class, or press its number, and paint where it is wrong.", take)
    if live and slow_view:
        return NextStep("A large part is visible: zoom in, and it updates sooner.")
    if live:
        return NextStep("Paint where it is wrong; it learns while you paint.")
    if trained:
        return NextStep("Press Live to continue training, or Predict all, then Export.")
    return NextStep("Press Live: the network learns while you keep painting.")


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
