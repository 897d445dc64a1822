"""Presets and settings: the GUI shows them, the trainer obeys them.

Plain data without torch, Qt or napari, so that both sides of the wall read the
same definitions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from napari_msd.errors import SettingsError

Boundary = Literal["reflect", "symmetric", "zeros"]
BackendName = Literal["cuda", "cpu", "torch"]
DeviceChoice = Literal["auto", "cuda", "cpu", "mps", "torch"]

BOUNDARIES: tuple[str, ...] = get_args(Boundary)
DEVICE_CHOICES: tuple[str, ...] = get_args(DeviceChoice)
MAX_CLASSES = 255
"""Labels are uint8 and 0 means unlabelled (or not yet predicted)."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a network is built and trained.

    Parameters
    ----------
    preset
        Name of the preset these settings started from.
    depth, width
        Hidden layers, and channels per layer.
    dilations
        Dilations in pixels, cycled over all hidden channels (Eq. 3 of Pelt &
        Sethian 2018).
    boundary
        What lies beyond the image's edge.
    learning_rate
        Step size of ADAM.
    label_smoothing
        Share (0..0.5) of certainty that a painted pixel leaves to the other classes:
        strokes keep clear of borders, and a network that becomes all too sure of
        them puts the border anywhere.
    pretrained
        Whether hidden layers start from the weights that ship with the package, as far as
        dilations agree, and the outputs from what suits the first strokes best. If not, as the
        paper starts: random filters, no output.
    consistency
        Weight (0..10) of agreeing with the average of the weights on unpainted pixels.
    share_damping
        How far (0..1) answers follow the classes' shares of the unpainted image: strokes
        say nothing of them, and what is rare would be overgrown.
    patches_per_step
        Patches in one training step.
    patch_size
        Side of a patch in pixels; smaller images give smaller patches.
    held_out_fraction
        Share of the painted pieces kept from training to measure IoU, 0..0.5.
    seed
        Seed of the initialisation, the held-out choice and the sampling.
    device
        ``auto``: compiled CUDA, else compiled CPU, else torch. ``cuda`` and
        ``cpu`` prefer that device's compiled core; ``mps`` and ``torch`` use
        plain torch there (``torch`` on the CPU).
    """

    preset: str = "quick"
    depth: int = 30
    width: int = 1
    dilations: tuple[int, ...] = (1, 2, 3, 4, 1, 2, 4, 8)
    boundary: Boundary = "reflect"
    learning_rate: float = 3e-3
    label_smoothing: float = 0.2
    pretrained: bool = True
    consistency: float = 0.3
    share_damping: float = 0.4
    patches_per_step: int = 4
    patch_size: int = 96
    held_out_fraction: float = 0.2
    seed: int = 0
    device: DeviceChoice = "auto"

    def __post_init__(self) -> None:
        _check(1 <= self.depth <= 1000, "depth", "1 to 1000", self.depth)
        _check(1 <= self.width <= 100, "width", "1 to 100", self.width)
        _check(
            len(self.dilations) > 0 and all(1 <= s <= 10_000 for s in self.dilations),
            "dilations",
            "numbers from 1 to 10000",
            self.dilations,
        )
        _check(self.boundary in BOUNDARIES, "boundary", f"one of {BOUNDARIES}", self.boundary)
        _check(0 < self.learning_rate <= 1, "learning_rate", "0 to 1", self.learning_rate)
        smoothing = self.label_smoothing
        _check(0 <= smoothing <= 0.5, "label_smoothing", "0 to 0.5", smoothing)
        _check(isinstance(self.pretrained, bool), "pretrained", "true or false", self.pretrained)
        _check(0 <= self.consistency <= 10, "consistency", "0 to 10", self.consistency)
        _check(0 <= self.share_damping <= 1, "share_damping", "0 to 1", self.share_damping)
        _check(
            1 <= self.patches_per_step <= 1024,
            "patches_per_step",
            "1 to 1024",
            self.patches_per_step,
        )
        _check(8 <= self.patch_size <= 4096, "patch_size", "8 to 4096", self.patch_size)
        _check(
            0 <= self.held_out_fraction <= 0.5,
            "held_out_fraction",
            "0 to 0.5",
            self.held_out_fraction,
        )
        _check(self.device in DEVICE_CHOICES, "device", f"one of {DEVICE_CHOICES}", self.device)

    @classmethod
    def from_preset(cls, preset: str = "quick", **overrides: Any) -> Settings:
        """Settings of a preset, with some of them replaced.

        Raises
        ------
        SettingsError
            For an unknown preset or setting, or a value outside its range.
        """
        if preset not in PRESETS:
            raise SettingsError(
                f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}."
            )
        known = {field.name for field in fields(cls)} - {"preset"}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise SettingsError(
                f"There is no setting {unknown[0]!r}; the settings are {', '.join(sorted(known))}."
            )
        if "dilations" in overrides:
            overrides["dilations"] = tuple(int(s) for s in overrides["dilations"])
        return replace(PRESETS[preset], **overrides)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` reads it back."""
        return {**asdict(self), "dilations": list(self.dilations)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Read `to_dict`'s form; the same errors as `from_preset`."""
        data = dict(data)
        return cls.from_preset(data.pop("preset", "quick"), **data)


def _check(ok: bool, name: str, wanted: str, value: object) -> None:
    if not ok:
        raise SettingsError(f"{name} must be {wanted}, not {value!r}.")


PRESETS: dict[str, Settings] = {
    "quick": Settings(),
    "balanced": Settings(preset="balanced", depth=50),
    "paper": Settings(
        preset="paper",
        depth=100,
        dilations=tuple(range(1, 11)),
        learning_rate=1e-3,
        pretrained=False,
        consistency=0.0,
        share_damping=0.0,
    ),
}
"""quick answers within seconds; balanced is better after a minute; paper is Pelt & Sethian's."""
