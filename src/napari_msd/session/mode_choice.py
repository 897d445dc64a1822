"""Which mode is proposed for an image, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from napari_msd.core.space import Mode, Space

FEW_SLICES = 5
"""With fewer slices, half of them have no neighbour on one side."""

FAR_APART = 4.0
"""Slices further apart than this many pixels have little in common with their neighbours."""

NEARLY_ISOTROPIC = 1.5
"""Up to this ratio, distances along Z mean the same as those along Y and X."""

THICK = 16
"""Fewer slices than this are no volume: most of what a filter sees would be mirrored."""


class Proposal(NamedTuple):
    """A mode for an image.

    Parameters
    ----------
    mode
        The mode.
    reason
        Why, in a few words.
    sentence
        The same in a sentence.
    """

    mode: Mode
    reason: str = ""
    sentence: str = ""


def propose(space: Space, *, said: bool) -> Proposal:
    """The mode to begin with.

    2-D unless neighbouring slices tell something: five or more of them, not more than 4 pixels
    apart, and called slices by someone. 3-D only for volumes: pixel sizes known and nearly equal
    along Z, Y and X, and at least 16 slices. Frames of a time series are independent images.

    Parameters
    ----------
    space
        Of the image.
    said
        Whether someone says what its axes are.
    """
    if not space.has_slices:
        return Proposal("2d")
    slices, apart = space.shape[-3], space.anisotropy
    if not said:
        return Proposal(
            "2d",
            "slices? see Axes",
            "2-D is proposed as long as nobody says that these are slices: press Axes.",
        )
    if slices < FEW_SLICES:
        return Proposal(
            "2d",
            f"only {slices} slices",
            f"2-D is proposed: with {slices} slices, most have no neighbour on one side.",
        )
    if not _distances_known(space):
        return Proposal(
            "2.5d",
            "slice distance unknown",
            "2.5-D is proposed: slices have neighbours, but their distance is not known.",
        )
    reason = f"slices {apart:.2g} px apart"
    if apart > FAR_APART:
        return Proposal(
            "2d",
            reason,
            f"2-D is proposed: neighbours that are {apart:.2g} pixels away tell little.",
        )
    if apart <= NEARLY_ISOTROPIC and slices >= THICK:
        return Proposal(
            "3d", reason, f"3-D is proposed: {slices} slices, about as far apart as pixels."
        )
    why = "there are few slices" if apart <= NEARLY_ISOTROPIC else f"{apart:.2g} pixels apart"
    return Proposal("2.5d", reason, f"2.5-D is proposed: neighbours tell something ({why}).")


def _distances_known(space: Space) -> bool:
    """Whether sizes along Z, Y and X are told, in one unit."""
    if space.pixel_size is None:
        return False
    return space.units is None or len(set(space.units[-3:])) == 1
