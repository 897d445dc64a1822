"""Text from people and files, shown as it is: Qt takes much that looks like HTML for markup.

A name like ``<img src=...>`` in a tooltip would make Qt read that file.
"""

from __future__ import annotations

from html import escape


def plain_tooltip(text: str) -> str:
    """A tooltip that shows `text` letter by letter, lines and all."""
    return f"<qt>{'<br>'.join(map(escape, text.splitlines()))}</qt>"


def plain_action(text: str) -> str:
    """The text of a menu item or button: an ``&`` is no key."""
    return text.replace("&", "&&")


def shortened(text: str, length: int) -> str:
    """At most `length` characters of `text`."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
