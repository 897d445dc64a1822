"""The benchmark cases: networks on batches of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_msd.core.errors import SettingsError
from napari_msd.network import MSDNet


@dataclass(frozen=True)
class Case:
    """A network on a batch of images: "30:4x128x128" is depth 30 on 4 images of 128 x 128."""

    depth: int
    batch: int
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.depth}:{'x'.join(map(str, (self.batch, *self.sizes)))}"


CASES = tuple(
    Case(depth, batch, sizes)
    for batch, sizes in ((4, (128, 128)), (1, (512, 512)), (1, (1024, 1024)), (1, (64, 64, 64)))
    for depth in (30, 100)
)


def parse_case(text: str) -> Case:
    """Read "30:4x128x128" (or "30:1x64x64x64" in 3-D).

    Raises
    ------
    SettingsError
        If the text is not a case.
    """
    depth, _, shape = text.partition(":")
    try:
        batch, *sizes = (int(part) for part in shape.split("x"))
        case = Case(int(depth), batch, tuple(sizes))
    except ValueError:
        case = Case(0, 0, ())
    if len(case.sizes) not in (2, 3) or min(case.depth, case.batch, *case.sizes) < 1:
        raise SettingsError(f"A case looks like 30:4x128x128, not {text!r}.")
    return case


def prepared(case: Case, device: str) -> tuple[MSDNet, Tensor]:
    """Make a network with random parameters, and a batch of images."""
    torch.manual_seed(0)
    dilations = (1, 2, 4, 8, 16) if case.depth == 30 else range(1, 11)
    net = MSDNet(1, 2, depth=case.depth, dilations=dilations, ndim=len(case.sizes)).to(device)
    with torch.no_grad():
        net.output_weight.normal_(0, 0.1)
    return net, torch.randn(case.batch, 1, *case.sizes, device=device)
