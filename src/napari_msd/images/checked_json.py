"""Reads untrusted JSON: every value is checked before it is used.

An invalid value leads to one sentence that names it.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from napari_msd.core.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 2000


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object strictly: no NaN, no excessive nesting, an object at the top level."""
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError("its header is not readable JSON") from error
    if not isinstance(data, dict):
        raise ModelFileError("its header is not a JSON object")
    return data


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


class Values:
    """Reads values from a JSON object and checks the type and bounds of each.

    Every method raises a `ModelFileError` that names the key.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def get(self, key: str) -> Any:
        """Return the value of `key`, unchecked."""
        if key not in self.data:
            raise ModelFileError(f"its header lacks {key!r}")
        return self.data[key]

    def optional(self, key: str, read: Callable[[str], Any]) -> Any:
        """Read a value that may be null."""
        return None if self.get(key) is None else read(key)

    def integer(self, key: str, low: int, high: int) -> int:
        """Read a whole number from `low` to `high`."""
        return checked_integer(self.get(key), low, high, key)

    def number(self, key: str, low: float, high: float) -> float:
        """Read a finite number from `low` to `high`."""
        return checked_number(self.get(key), low, high, key)

    def numbers(self, key: str, count: int, above: float = -math.inf) -> tuple[float, ...]:
        """Read `count` finite numbers above `above`."""
        items = self.items(key, count, count)
        numbers = tuple(checked_number(item, above, math.inf, key) for item in items)
        if any(number <= above for number in numbers):
            raise wrong(key, f"{count} numbers above {above:g}")
        return numbers

    def items(self, key: str, least: int, most: int) -> list[Any]:
        """Read a list of `least` to `most` unchecked entries."""
        items = self.get(key)
        if not isinstance(items, list | tuple) or not least <= len(items) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise wrong(key, f"a list of {count} entries")
        return list(items)

    def text(self, key: str) -> str:
        """Read a printable text."""
        return checked_text(self.get(key), key)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Read a text that is one of `choices`."""
        value = self.get(key)
        if not isinstance(value, str) or value not in choices:
            raise wrong(key, f"one of {', '.join(choices)}")
        return value

    def matching(self, key: str, pattern: str, wanted: str) -> str:
        """Read a text that matches `pattern`, which `wanted` describes in words."""
        value = self.get(key)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise wrong(key, wanted)
        return value


def checked_integer(value: object, low: int, high: int, key: str) -> int:
    """`value` if it is a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise wrong(key, f"a whole number from {low} to {high}")
    return value


def checked_number(value: object, low: float, high: float, key: str) -> float:
    """`value` as a float if it is a finite number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(key, "a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise wrong(key, "a finite number") from error
    if not math.isfinite(number) or not low <= number <= high:
        bounds = f"a number from {low:g} to {high:g}" if math.isfinite(high) else "a finite number"
        raise wrong(key, bounds)
    return number


def checked_text(value: object, key: str) -> str:
    """`value` if it is a printable text of at most `MAX_TEXT` characters."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise wrong(key, f"a printable text of at most {MAX_TEXT} characters")
    return value


def wrong(key: str, wanted: str) -> ModelFileError:
    """The error for a value that is not what is `wanted`."""
    return ModelFileError(f"{key!r} in its header must be {wanted}")
