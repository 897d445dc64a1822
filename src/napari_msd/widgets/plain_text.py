"""Shows text from users and files literally: Qt renders text that looks like HTML as markup.

A name like ``<img src=...>`` in a tooltip would make Qt read that file.
"""

from __future__ import annotations

from html import escape


def plain_tooltip(text: str) -> str:
    """A tooltip that shows `text` literally, with its line breaks."""
    return f"<qt>{'<br>'.join(map(escape, text.splitlines()))}</qt>"


def plain_action(text: str) -> str:
    """The text of a menu item or button, in which ``&`` does not mark a shortcut."""
    return text.replace("&", "&&")


def shortened(text: str, length: int) -> str:
    """Shorten `text` to at most `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
