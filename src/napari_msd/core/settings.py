"""Presets and settings, shown by the GUI and applied by the trainer.

Plain data without torch, Qt or napari, so that the viewer's process and the trainer's read
the same definitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

from napari_msd.core.errors import SettingsError, shown
from napari_msd.core.space import MODES, Mode

Boundary = Literal["reflect", "symmetric", "zeros"]
BackendName = Literal["cuda", "cpu", "torch"]
DeviceChoice = Literal["auto", "cuda", "cpu", "mps", "torch"]

BOUNDARIES: tuple[str, ...] = get_args(Boundary)
DEVICE_CHOICES: tuple[str, ...] = get_args(DeviceChoice)
NORMALISE: tuple[str, ...] = ("plane", "first")
MAX_CLASSES = 255
"""Labels are uint8 and 0 means unlabelled (or not yet predicted)."""


@dataclass(frozen=True)
class Settings:
    """All parameters of a network and its training.

    Parameters
    ----------
    preset
        Name of the preset these settings started from.
    mode
        What the network sees as one image of a stack: ``2d`` single slices, ``2.5d`` slices with
        their neighbours as further channels, ``3d`` volumes. An image without slices is seen in
        2-D. `from_preset` gives each mode a depth and dilations of its own.
    context
        Neighbouring slices on each side (1 to 10), in 2.5-D.
    depth, width
        Hidden layers, and channels per layer.
    dilations
        Dilations in pixels, cycled over all hidden channels (Eq. 3 of Pelt &
        Sethian 2018).
    boundary
        How pixels beyond the image's edge are defined.
    learning_rate
        Step size of ADAM.
    label_smoothing
        Share (0..0.5) of a painted pixel's probability that goes to the other classes. Strokes
        avoid borders, so an overconfident network places borders arbitrarily.
    pretrained
        Whether hidden layers start from the weights that ship with the package, as far as
        dilations agree, and the output layer from a closed-form fit to the first strokes. If
        not, as in the paper: random filters, output weights zero.
    consistency
        Weight (0..10) of the loss for disagreeing with the EMA of the weights on unpainted pixels.
    trees
        Whether the prediction also includes trees on filter responses, mixed with the network.
    normalise
        ``plane``: every plane by its own median and spread, so that brightness and bit depth make
        no difference. ``first``: all planes by the mean and deviation of the first one, for
        images whose absolute grey values matter (CT).
    share_damping
        Strength (0..1) of the prior correction by the class proportions of the unpainted image:
        strokes do not show these.
    patches_per_step
        Patches in one training step.
    patch_size
        Side of a patch in pixels; smaller images give smaller patches.
    held_out_fraction
        Share of the pieces of strokes held out from training to measure IoU, 0..0.5.
    seed
        Seed (0 to 2**64 - 1) of the initialisation, the validation split and the sampling.
    device
        ``auto``: compiled CUDA, else compiled CPU, else torch. ``cuda`` and
        ``cpu`` prefer that device's compiled core; ``mps`` and ``torch`` use
        plain torch there (``torch`` on the CPU).
    """

    preset: str = "quick"
    mode: Mode = "2d"
    context: int = 1
    depth: int = 30
    width: int = 1
    dilations: tuple[int, ...] = (1, 2, 3, 4, 1, 2, 4, 8)
    boundary: Boundary = "reflect"
    learning_rate: float = 3e-3
    label_smoothing: float = 0.2
    pretrained: bool = True
    consistency: float = 0.3
    trees: bool = True
    normalise: Literal["plane", "first"] = "plane"
    share_damping: float = 0.4
    patches_per_step: int = 4
    patch_size: int = 96
    held_out_fraction: float = 0.2
    seed: int = 0
    device: DeviceChoice = "auto"

    def __post_init__(self) -> None:
        for name, (least, most) in _WHOLE_NUMBERS.items():
            self._set(name, _checked_integer(getattr(self, name), name, least, most))
        for name, (low, high) in _NUMBERS.items():
            self._set(name, _checked_number(getattr(self, name), name, low, high))
        if self.learning_rate == 0:
            raise _out_of_range("learning_rate", "above 0 and at most 1", self.learning_rate)
        self._set("dilations", _dilations(self.dilations))
        for name in ("pretrained", "trees"):
            if not isinstance(getattr(self, name), bool):
                raise _out_of_range(name, "true or false", getattr(self, name))
        if not isinstance(self.preset, str):
            raise _out_of_range("preset", f"one of {', '.join(PRESETS)}", self.preset)
        for name, choices in (
            ("boundary", BOUNDARIES),
            ("device", DEVICE_CHOICES),
            ("normalise", NORMALISE),
            ("mode", MODES),
        ):
            if getattr(self, name) not in choices:
                raise _out_of_range(name, f"one of {', '.join(choices)}", getattr(self, name))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def from_preset(cls, preset: str = "quick", **overrides: Any) -> Settings:
        """Settings of a preset, with some of them replaced.

        Raises
        ------
        SettingsError
            For an unknown preset or setting, or a value outside its range.
        """
        if not isinstance(preset, str) or preset not in PRESETS:
            raise SettingsError(
                f"There is no preset {shown(preset)}; choose one of {', '.join(PRESETS)}."
            )
        known = {field.name for field in fields(cls)} - {"preset"}
        unknown = sorted(set(overrides) - known)
        if unknown:
            raise SettingsError(
                f"There is no setting {shown(unknown[0])}; "
                f"the settings are {', '.join(sorted(known))}."
            )
        found = PRESETS[preset]
        if overrides.get("mode") == "3d":
            found = replace(found, **_VOLUMES[preset])
        return replace(found, **overrides)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` reads it back."""
        return {**asdict(self), "dilations": list(self.dilations)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Read `to_dict`'s form; the same errors as `from_preset`."""
        data = dict(data)
        return cls.from_preset(data.pop("preset", "quick"), **data)


_WHOLE_NUMBERS = {
    "context": (1, 10),
    "depth": (1, 1000),
    "width": (1, 100),
    "patches_per_step": (1, 1024),
    "patch_size": (8, 4096),
    "seed": (0, 2**64 - 1),
}
_NUMBERS = {
    "learning_rate": (0, 1),
    "label_smoothing": (0, 0.5),
    "consistency": (0, 10),
    "share_damping": (0, 1),
    "held_out_fraction": (0, 0.5),
}
_DILATIONS = (1, 10_000)
_MAX_DILATIONS = 100_000
"""One for each channel of the largest network."""


def _out_of_range(name: str, wanted: str, value: object) -> SettingsError:
    return SettingsError(f"{name} must be {wanted}, not {shown(value)}.")


def _checked_integer(value: object, name: str, low: int, high: int) -> int:
    """Convert `value` to a Python integer, also from NumPy's types."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise _out_of_range(name, f"{low} to {high}", value)
    return int(value)


def _checked_number(value: object, name: str, low: float, high: float) -> float:
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    except OverflowError:
        number = None
    if number is None or not low <= number <= high:
        raise _out_of_range(name, f"{low} to {high}", value)
    return number


def _dilations(value: object) -> tuple[int, ...]:
    low, high = _DILATIONS
    wanted = f"numbers from {low} to {high}"
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise _out_of_range("dilations", wanted, value)
    items = tuple(value)
    if len(items) > _MAX_DILATIONS:
        raise _out_of_range("dilations", f"at most {_MAX_DILATIONS} numbers", items)
    try:
        dilations = tuple(_checked_integer(item, "dilations", low, high) for item in items)
    except SettingsError:
        dilations = ()
    if not dilations:
        raise _out_of_range("dilations", wanted, items)
    return dilations


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
        trees=False,
    ),
}
"""quick predicts within seconds; balanced is better after a minute; paper is Pelt & Sethian's."""

_VOLUMES: dict[str, dict[str, Any]] = {
    "quick": {"depth": 12, "patch_size": 32},
    "balanced": {"depth": 20, "patch_size": 32},
    "paper": {"patch_size": 32},
}
"""What presets have in 3-D instead. A layer has three times the weights there, and the halo of a
tile three axes: a network as deep as in 2-D would spend its time on halos."""
