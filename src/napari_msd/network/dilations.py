"""The dilations of a network's hidden channels, along each axis."""

from __future__ import annotations

from collections.abc import Sequence

from napari_msd.core.errors import SettingsError


def of_each_channel(name: str, cycle: Sequence[int], n_channels: int) -> tuple[int, ...]:
    """Repeat a cycle of dilations over all hidden channels.

    Parameters
    ----------
    name
        What an error calls them.
    cycle
        In pixels, from 1 on.
    n_channels
        Hidden channels.

    Raises
    ------
    SettingsError
        For an empty cycle, or a value below 1.
    """
    values = tuple(int(dilation) for dilation in cycle)
    if not values or min(values) < 1:
        raise SettingsError(f"{name} must be one or more numbers from 1 on, not {values}.")
    return tuple(values[q % len(values)] for q in range(n_channels))


def along_axes(
    dilations: Sequence[int], dilations_z: Sequence[int] | None, ndim: int
) -> tuple[tuple[int, ...], ...]:
    """The dilation of each hidden channel along each of the `ndim` axes, in their order.

    Parameters
    ----------
    dilations
        Of each hidden channel, in pixels.
    dilations_z
        Along Z, if `ndim` is 3. None: the same as along Y and X.
    ndim
        2 or 3.
    """
    if dilations_z is None:
        return tuple((s,) * ndim for s in dilations)
    return tuple((z, s, s) for z, s in zip(dilations_z, dilations, strict=True))


def receptive_radii(dilations: Sequence[tuple[int, ...]], width: int) -> tuple[int, ...]:
    """Pixels on each side that influence an output, along each axis.

    Parameters
    ----------
    dilations
        As `along_axes` gives them.
    width
        Channels per layer: the largest dilation of each layer counts.
    """
    layers = [dilations[q : q + width] for q in range(0, len(dilations), width)]
    return tuple(
        sum(max(channel[axis] for channel in layer) for layer in layers)
        for axis in range(len(dilations[0]))
    )
