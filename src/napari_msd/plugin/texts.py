"""Sentences of the dialogs, and of what the window reports about files and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.core.errors import shown
from napari_msd.core.number_text import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.session.result_file import Ended

COPY_RUNNING = "The segmentation is still being copied; wait for the copy."
EXPORT_RUNNING = "Another export is still being written; try again when it is saved."
TOO_LARGE = "There is too little memory to copy the labels; close other programs or images."
NO_SEGMENTATION = "There is no segmentation yet: press Live, Update once or Predict all first."
INCOMPLETE_TITLE = "The segmentation is not complete"
ALL_SEGMENTED_LIVE = (
    "The whole image is segmented. Live goes on where you look: switch it off to keep all alike."
)
PREDICT_ALL_UNFINISHED = "Predict all was not finished: nothing was exported or copied."
NO_NETWORK_TO_SEGMENT_WITH = (
    "There is no network yet: paint strokes and press Live, or start from a model."
)
NO_NETWORK_TO_SAVE = "There is no network to save yet: press Live or Update once first."
NETWORK_RESTORED = "The network was restored."
NO_NETWORK_TO_DISCARD = "There is no network yet; the strokes stay as they are."
DISCARDED_LIVE = "The network was discarded; the strokes stay. ⋯ > History brings it back."
DISCARDED = "The network was discarded; the strokes stay. ⋯ > Bring back undoes this."
HISTORY = (
    "Pick a version and go back to it: it is shown, and training continues from it. "
    "Nothing is lost: the others stay in the list."
)
EMPTY_HISTORY = "There are no versions yet: press Live, and the best networks are kept here."
SCORE_CURRENT = "Measured on the current held-out strokes"
SCORE_EARLIER = "Measured on the strokes of that time: not comparable with the others"
TOO_MANY_CLASSES = "There can be no more than 255 classes."
PICK_TO_REMOVE = "Pick the class to remove in the list first."
PICK_TO_MERGE = "Pick the class to merge in the list first."
SEARCHING = "Looking through all planes for strokes of the class …"
REPORT_TITLE = "Report a problem"
REPORT_ABOUT = (
    "Please say what you did and what happened, and add this text. It holds no pixels and no "
    "folders; read it before you send it."
)
LASSO = "Draw around a part that is segmented correctly: it becomes strokes. Esc ends drawing."
MAP_CHANNELS = "Which layer is which channel of the model? This is asked once."
ALREADY_OPEN = "MS-D Segmentation is already open in this window."

_MAX_NAMES = 6
"""Maximum number of a model's class names in a sentence."""


def lasso_copied(pixels: int) -> str:
    """The lasso has copied so many pixels of the segmentation to the strokes."""
    return f"{grouped(pixels)} pixels became strokes as they are segmented. Undo takes them back."


def became_channels(image: str, number: int) -> str:
    """An axis of the image became layers, which are channels of one image."""
    return (
        f"“{image}” became {number} layers, one per channel, that share its memory. "
        "The network sees them together; untick some under Channels."
    )


def holds_channels(image: str, number: int) -> str:
    """Offer to use an axis of channels as channels."""
    return f"“{image}” holds {number} channels. The network can see them together."


def too_few_channels(wanted: int, names: Sequence[str], image: str) -> str:
    """A model wants more channels than there are layers."""
    listed = f" ({', '.join(shown(name) for name in names[:_MAX_NAMES])})" if names else ""
    return (
        f"This model needs {wanted} channels{listed}, and there are fewer layers of the size and "
        f"place of “{image}”; open the others, or choose another model."
    )


def channel_lost(layer: str) -> str:
    """A layer that was a channel was deleted."""
    return f"The channel “{layer}” was deleted: the network begins anew without it."


def another_proposed(mode: str) -> str:
    """Another mode than the chosen one is proposed."""
    return f"{mode} is proposed"


def not_opened(reason: str) -> str:
    """A file could not be opened by napari, for this reason."""
    return f"napari could not open it: {reason}"


def labels_saved(file: str) -> str:
    """An export was written."""
    return f"Labels saved as {file}."


def segmented_to_file(name: str, how: Ended) -> tuple[str, str]:
    """How segmenting all of an image into a file has ended: level and sentence."""
    share = f"{how.done:.0%}" if how.done < 1 else "all of it"
    go_on = f"choose {name} again to go on from there."
    if how.error:
        rest = f" {share[0].upper()}{share[1:]} is done; {go_on}" if how.resumable else ""
        return "error", f"{how.error}{rest}"
    if not how.complete:
        if how.resumable:
            return "warning", f"Stopped: {share} is done; {go_on}"
        return "warning", f"Stopped: {name} was not written. An OME-Zarr could be gone on with."
    if how.done < 1:
        missing = f"{1 - how.done:.0%}" if how.done <= 0.99 else "less than 1%"
        return "warning", f"{name} is saved, but {missing} of it could not be segmented."
    return "info", f"All of the image is segmented in {name}."


def model_saved(file: str) -> str:
    """A model was written."""
    return f"Model saved as {file}."


def copied(layer: str, remark: str) -> str:
    """The segmentation was copied to a layer; `remark` says whether it is incomplete."""
    return f"The copy “{layer}” can be edited. {remark}".rstrip()


def model_loaded(file: str, names: Sequence[str], renamed: Sequence[str]) -> str:
    """A model with these class names was loaded; `renamed` lists `class_differs` sentences."""
    listed = ", ".join(names[:_MAX_NAMES])
    if len(names) > _MAX_NAMES:
        listed += f" and {len(names) - _MAX_NAMES} more"
    text = f"Started from {file} ({listed}): Predict all uses it, Live continues its training."
    return f"{text} Note: {'; '.join(renamed)}." if renamed else text


def class_differs(value: int, in_model: str, here: str) -> str:
    """A class of the model has another name than the painted class of this value."""
    return f"class {value} is “{in_model}” in the model and “{here}” here"


def went_back(step: int) -> str:
    """An earlier version, of this training step, was restored."""
    return f"Back to the version of step {step}; the others stay in ⋯ > History."


def remove_class(name: str, pixels: int) -> str:
    """Ask whether to remove a class that has painted pixels."""
    return (
        f"Remove “{name}” and erase its {grouped(pixels)} painted pixels? "
        "Undo on the annotation layer brings them back."
    )


def merge_into(name: str, other: str) -> str:
    """Menu entry that merges class `name` into class `other`."""
    return f"“{name}” becomes part of “{other}”"
