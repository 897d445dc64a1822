"""Which buttons can do something now, and the reason why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass

NO_NETWORK = "There is no network yet. Paint strokes and press Live, or load a model."
AT_WORK = "It is already at work."


@dataclass(frozen=True)
class Situation:
    """What the buttons depend on.

    Parameters
    ----------
    image_problem, problem
        Why no image, and why no image with an annotation, can be worked on; empty if they can.
    live, work, stopping
        Whether Live is on, which work that ends runs, whether something is still stopping.
    trained, segmented
        Whether there is a network, and anything that it has segmented.
    uncertainty
        Whether the uncertainty is shown.
    classes
        Number of classes.
    picked
        Whether one of them is picked in the list.
    versions
        Number of versions in the network's history.
    forgotten
        Whether a forgotten network can be brought back.
    writing
        Whether an export is being written.
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


def reasons(now: Situation) -> dict[str, str]:
    """The reason why each button cannot be pressed, by name; empty where it can."""
    busy = AT_WORK if now.live or now.work else ""
    no_network = now.image_problem or ("" if now.trained else NO_NETWORK)
    no_result = "" if now.segmented else "Nothing is segmented yet. Press Live or Predict all."
    no_class = "" if now.picked else "Pick a class in the list first."
    idle = "" if busy else "It is stopping already." if now.stopping else "Nothing is running."
    return {
        "new_annotation_button": now.image_problem,
        "remove_class_button": no_class,
        "merge_class_button": no_class or ("" if now.classes > 1 else "There is only one class."),
        "live_button": "" if now.live else now.problem,
        "update_once_button": busy or now.problem,
        "stop_button": idle,
        "predict_all_button": AT_WORK if now.work else no_network,
        "show_me_button": no_network,
        "uncertainty_button": "" if now.uncertainty else no_network,
        "history_button": "" if now.versions else "There are no versions of the network yet.",
        "export_button": "An export is still being written." if now.writing else no_result,
        "copy_button": no_result,
        "save_model_button": "" if now.trained else NO_NETWORK,
        "start_over_button": "" if now.trained or now.forgotten else NO_NETWORK,
    }
