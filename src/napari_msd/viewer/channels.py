"""Several image layers as the channels of one image, as napari shows microscopy.

Nothing is copied: each box is read from every layer when it is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_msd.core.errors import ImageError
from napari_msd.images.sources import channels_together
from napari_msd.session.ports import Channel, ImageData
from napari_msd.viewer import layers
from napari_msd.viewer.axes import origin
from napari_msd.viewer.references import reference_of
from napari_msd.viewer.result_layers import is_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def candidates(image: Any, present: Iterable[Any]) -> list[Any]:
    """The layers that could be channels together with `image`, itself among them.

    Images of one channel, of its shape and at its place, in the order of the layer list. An image
    in colour has channels of its own: it is alone.
    """
    if layers.is_colour(image):
        return [image]
    return [layer for layer in present if layer == image or _could_join(image, layer)]


def belonging(image: Any, others: Sequence[Any]) -> list[Any]:
    """Those of its `candidates` that are shown as channels of one image, itself among them.

    They are visible, from one file (or all from none), of one type, and added up on screen:
    all but the lowest one have napari's blending "additive" or "minimum".
    """
    kin = [
        layer
        for layer in others
        if layer == image or (layer.visible and _same_origin(image, layer))
    ]
    added = [layer for layer in kin if str(layer.blending) in ("additive", "minimum")]
    group = [layer for layer in kin if layer in added or layer == kin[0]]
    return group if image in group else [image]


def check_together(image: Any, channels: Sequence[Any]) -> None:
    """Refuse channels that no longer lie on each other.

    Raises
    ------
    ImageError
        With a sentence for the user.
    """
    for layer in channels:
        if layer is image:
            continue
        layers.check_image(layer)
        if not _could_join(image, layer):
            raise ImageError(
                f"“{layer.name}” no longer fits “{image.name}”: size, scale, position or rotation "
                "differ. Untick it under Channels, or give both the same placement."
            )


def data_of(channels: Sequence[Any]) -> ImageData:
    """Pixels of several layers as the channels of one image; of a single one, its own."""
    first = channels[0]
    space, reads = layers.space_of(first), [layers.box_reader(layer) for layer in channels]
    if len(channels) > 1:
        names = tuple(layer.name for layer in channels)
        space = replace(space, n_channels=len(channels), channel_names=names)
    arrays = tuple(layers.pixels(layer) for layer in channels)
    return ImageData(arrays, space, channels_together(reads))


def channel(layer: Any) -> Channel:
    """A layer as one channel: where it came from, and its own pixels."""
    return Channel(layer, reference_of(layer), data_of([layer]))


def _could_join(image: Any, layer: Any) -> bool:
    return (
        layers.is_image(layer)
        and not is_result(layer)
        and not layers.is_colour(layer)
        and layers.pixels(layer).dtype.kind in "buif"
        and layers.spatial_shape(layer) == layers.spatial_shape(image)
        and layers.same_placement(image, layer)
    )


def _same_origin(a: Any, b: Any) -> bool:
    ours, theirs = origin(a), origin(b)
    same = (ours.path, ours.sample) == (theirs.path, theirs.sample)
    return same and bool(layers.pixels(a).dtype == layers.pixels(b).dtype)
