"""The memory of each viewer; it is kept when the panel is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize

from napari_msd.session.memory import SessionMemory

if TYPE_CHECKING:
    from napari_msd.core.settings import DeviceChoice

_of_viewer: WeakKeyDictionary[Any, SessionMemory] = WeakKeyDictionary()


def memory_of(viewer: Any, preset: str, device: DeviceChoice) -> SessionMemory:
    """The memory of a viewer or its proxy; a new one starts with `preset` and `device`."""
    viewer = unwrapped(viewer)
    if viewer not in _of_viewer:
        _of_viewer[viewer] = memory = SessionMemory(preset, device)
        finalize(viewer, memory.saving.close)  # also when the process ends
    return _of_viewer[viewer]


def close_session(viewer: Any) -> None:
    """Save everything and close the viewer's session file, if it has one."""
    memory = _of_viewer.get(unwrapped(viewer))
    if memory is not None:
        memory.saving.close()


def unwrapped(viewer: Any) -> Any:
    """The viewer itself: napari gives every widget its own proxy."""
    return getattr(viewer, "__wrapped__", viewer)
