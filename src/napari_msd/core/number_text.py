"""Numbers in sentences: everywhere grouped the same way."""

from __future__ import annotations

_NARROW_SPACE = "\u202f"
"""Does not break lines, and is no decimal mark in any language."""


def grouped(number: int) -> str:
    """Digits in groups of three, with narrow spaces between them.

    Examples
    --------
    >>> grouped(16777).split()
    ['16', '777']
    """
    return f"{number:,}".replace(",", _NARROW_SPACE)
