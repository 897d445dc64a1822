"""Which buttons are enabled now, and why the others are disabled."""

from __future__ import annotations

from dataclasses import dataclass

NO_NETWORK = "There is no network yet. Paint strokes and press Live, or load a model."
NOTHING_SEGMENTED = "Nothing is segmented yet. Press Live or Predict all."
NO_STROKES = "There is no layer for strokes yet. Press New."
ALREADY_RUNNING = "Training or prediction is already running."


@dataclass(frozen=True)
class Situation:
    """The state that decides which buttons are enabled.

    Parameters
    ----------
    image_problem, problem
        Why the image, and why image and annotation together, cannot be used; empty if they can.
    live, work, stopping
        Whether Live is on; which one-off task runs, if any; whether something is still stopping.
    trained, segmented
        Whether there is a network, and whether any of the image is segmented.
    uncertainty
        Whether the uncertainty layer is shown.
    classes
        Number of classes.
    picked
        Whether a class is selected in the list.
    versions
        Number of versions in the network's history.
    forgotten
        Whether Start over can be undone.
    writing
        Whether an export is being written.
    annotation
        Whether there is a layer to paint on.
    flat
        Whether the view shows planes of the image, not a cut across them or a volume.
    """

    image_problem: str = ""
    problem: str = ""
    live: bool = False
    work: str = ""
    stopping: bool = False
    trained: bool = False
    segmented: bool = False
    uncertainty: bool = False
    classes: int = 0
    picked: bool = False
    versions: int = 0
    forgotten: bool = False
    writing: bool = False
    annotation: bool = False
    flat: bool = True


def reasons(now: Situation) -> dict[str, str]:
    """Why each button is disabled, by name; empty if it is enabled."""
    busy = ALREADY_RUNNING if now.live or now.work else ""
    no_network = now.image_problem or ("" if now.trained else NO_NETWORK)
    no_result = "" if now.segmented else NOTHING_SEGMENTED
    no_class = "" if now.picked else "Pick a class in the list first."
    idle = "" if busy else "It is stopping already." if now.stopping else "Nothing is running."
    no_brush = now.image_problem or ("" if now.annotation else NO_STROKES)
    no_view = now.image_problem or (
        "" if now.live or now.uncertainty or now.trained or now.segmented else NOTHING_SEGMENTED
    )
    not_flat = "" if now.flat else "Show (Y, X) planes in 2-D first."
    return {
        "paint_button": no_brush,
        "erase_button": no_brush,
        "undo_button": no_brush,
        "redo_button": no_brush,
        "lasso_button": now.problem or no_result or not_flat,
        "segmentation_button": no_view,
        "image_button": no_view,
        "new_annotation_button": now.image_problem,
        "remove_class_button": no_class,
        "merge_class_button": no_class or ("" if now.classes > 1 else "There is only one class."),
        "live_button": "" if now.live else now.problem,
        "update_once_button": busy or now.problem,
        "stop_button": idle,
        "predict_all_button": ALREADY_RUNNING if now.work else no_network,
        "show_me_button": no_network,
        "uncertainty_button": "" if now.uncertainty else no_network,
        "history_button": "" if now.versions else "There are no versions of the network yet.",
        "export_button": "An export is still being written." if now.writing else no_result,
        "segment_file_button": (
            ALREADY_RUNNING
            if now.work
            else "An export is still being written."
            if now.writing
            else no_network
        ),
        "copy_button": no_result,
        "save_model_button": "" if now.trained else NO_NETWORK,
        "start_over_button": "" if now.trained or now.forgotten else NO_NETWORK,
    }
