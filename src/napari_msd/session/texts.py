"""Sentences that a session shows to the user, except the reasons in `availability`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.session.keys import NEXT_KEY

if TYPE_CHECKING:
    from napari_msd.core.space import Mode

LOOKING = "Looking for the place where a stroke helps most …"
COMPUTING = "Computing the uncertainty of the visible part …"
UNCERTAINTY_NEEDS_NETWORK = "Uncertainty appears as soon as there is a network: press Live."
SHOW_ME_NEEDS_NETWORK = "There is no network yet. Paint strokes and press Live first."
PREDICT_ALL_NEEDS_NETWORK = "There is no network yet: press Live to train one, or load a model."
TWO_CLASSES_NEEDED = "Paint a few strokes of at least two classes first."
VALUES_ARE_NO_CLASSES = (
    "Some painted values are negative or above 255; they are not used as classes."
)
SEGMENTATION_DELETED = (
    "You deleted the segmentation, so all work has stopped. "
    "Live, Update once or Predict all bring it back."
)

MODES: dict[Mode, str] = {"2d": "2-D", "2.5d": "2.5-D", "3d": "3-D"}
"""What modes are called."""


def live_is_off(reason: str) -> str:
    """Live was switched off, for a `reason` that is a sentence."""
    return f"{reason} Live is off."


def class_names_unreadable(layer: str) -> str:
    """The annotation named `layer` has damaged class names."""
    return f"The class names and colours stored in “{layer}” cannot be read; they are not used."


def new_network(preset: str, previous: str) -> str:
    """Another preset has no network yet; that of the `previous` preset is kept."""
    return (
        f"The {preset} network starts from your strokes; "
        f"choose {previous} again to return to the previous one."
    )


def uncertain_here(uncertainty: float) -> str:
    """Show me has moved the view to a place of this uncertainty, 0..1."""
    return (
        f"Uncertain in the ring ({uncertainty:.0%}): paint what you see there. "
        f"{NEXT_KEY} shows another place."
    )


def work_was_lost(reason: str, work: str) -> str:
    """The trainer died (`reason`) while ``update`` or ``predict`` was running; "" for neither."""
    if not work:
        return reason
    button = "Update once" if work == "update" else "Predict all"
    return f"{reason} {button} was lost: press it again."


def continues_from(image: str) -> str:
    """The network of the image named `image` was taken over."""
    return (
        f"Continues from the network of “{image}”, adapted to this image's grey values. "
        "⋯ > Start over begins with a new one."
    )
