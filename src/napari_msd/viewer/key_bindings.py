"""Keys for classes, Live, Show me, and hiding the overlay.

Number keys pick a class. napari uses 1 to 7 on Labels layers, so they are bound on the
annotation layer itself, only while it is chosen, and earlier bindings are restored.
Live, Show me and "hide the overlay" use keys that napari leaves free on Labels layers and
on the viewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_msd.session.keys import HIDE_KEY, LIVE_KEY, NEXT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class KeyBindings:
    """Keys bound on one viewer or layer, until `release`."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._before: dict[str, Any] = {}

    def bind(self, key: str, function: Callable[[Any], Any]) -> None:
        """Bind a key, and remember its earlier binding on this layer or viewer."""
        before = self._provider.bind_key(key, None)
        self._before.setdefault(key, before)
        self._provider.bind_key(key, function, overwrite=True)

    def release(self) -> None:
        """Restore all earlier bindings."""
        for key, before in self._before.items():
            self._provider.bind_key(key, before, overwrite=True)
        self._before.clear()


def bind_class_keys(layer: Any, pick: Callable[[int], None]) -> KeyBindings:
    """Number keys 1..9 pick the class of that value on `layer`."""
    keys = KeyBindings(layer)
    for value in range(1, 10):

        def on_key(_layer: Any, value: int = value) -> None:
            pick(value)

        keys.bind(str(value), on_key)
    return keys


def bind_viewer_keys(
    viewer: Any,
    toggle_live: Callable[[], None],
    show_me: Callable[[], None],
    hide_overlay: Callable[[], Callable[[], None]],
) -> KeyBindings:
    """Keys for Live and Show me, and one that hides the overlay while it is held.

    `hide_overlay` returns the function that shows it again.
    """
    keys = KeyBindings(viewer)

    def on_live(_viewer: Any) -> None:
        toggle_live()

    def on_next(_viewer: Any) -> None:
        show_me()

    def while_held(_viewer: Any) -> Iterator[None]:
        show_again = hide_overlay()
        yield
        show_again()

    keys.bind(LIVE_KEY, on_live)
    keys.bind(NEXT_KEY, on_next)
    keys.bind(HIDE_KEY, while_held)
    return keys
