"""Valid class names: any text in any language, made safe for files and lists.

Names come from users, from layers of other plugins and from files of unknown origin; they are
written to lists, to JSON and to the XML of OME-TIFF. This module has the one rule for all of them.
It needs neither NumPy nor Qt.
"""

from __future__ import annotations

import unicodedata

MAX_NAME = 100
"""Longest class name, in characters (Unicode code points)."""

_MAX_NORMALISED = 16 * MAX_NAME
"""Only this many characters are normalised, because that may take quadratic time."""

_BYTE_ORDER_MARK = "\ufeff"
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates: they can make a text look like another one."""

_ZERO_WIDTH_JOINER = "\u200d"
_JOINERS = frozenset("\u200c" + _ZERO_WIDTH_JOINER)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)


def clean_class_name(text: str) -> str:
    r"""Make a class name that every file and every list can hold.

    White space is collapsed; control characters, lone surrogates, noncharacters, byte order marks
    and the marks that override the direction of writing are removed; the rest is normalised (NFC)
    and cut to `MAX_NAME`. What scripts and emoji need stays: joiners, soft hyphens, variation
    selectors, combining marks.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        The name, empty if nothing visible is left. A name that was cleaned before is returned
        unchanged.

    Examples
    --------
    >>> clean_class_name("  cell\n wall\0 ")
    'cell wall'
    """
    one_line = " ".join(text.split())
    kept = "".join(character for character in one_line if _is_allowed(character))
    # a removed character may have been between two spaces
    name = " ".join(unicodedata.normalize("NFC", kept[:_MAX_NORMALISED]).split())
    name = _cut(name, MAX_NAME).rstrip()
    return name if any(_is_visible(character) for character in name) else ""


def class_name_or_number(name: str, value: int) -> str:
    """`clean_class_name` of `name`, or "class 3" if nothing is left of it."""
    return clean_class_name(name) or f"class {value}"


def _is_allowed(character: str) -> bool:
    if character in _BIDIRECTIONAL or character == _BYTE_ORDER_MARK:
        return False
    code = ord(character)
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:  # noncharacters
        return False
    return unicodedata.category(character) not in ("Cc", "Cs")


def _is_visible(character: str) -> bool:
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return False  # variation selectors
    return unicodedata.category(character) != "Cf" and not character.isspace()


def _cut(text: str, length: int) -> str:
    """Cut `text` to at most `length` characters, between graphemes."""
    if len(text) <= length:
        return text
    at = length
    while at > 0 and _joined(text, at):
        at -= 1
    return text[: at or length]


def _joined(text: str, at: int) -> bool:
    """Whether the characters before and after position `at` form one grapheme."""
    before, after = text[at - 1], text[at]
    if before == _ZERO_WIDTH_JOINER or after in _JOINERS:
        return True
    if unicodedata.category(after) in ("Mn", "Mc", "Me"):
        return True
    if ord(after) in _SKIN_TONES or ord(after) in _TAGS:
        return True
    if ord(before) in _FLAG_LETTERS and ord(after) in _FLAG_LETTERS:  # pairs of letters are flags
        start = at
        while start > 0 and ord(text[start - 1]) in _FLAG_LETTERS:
            start -= 1
        return (at - start) % 2 == 1
    return False
