"""napari's File > Open and drag and drop for session files (npe2 reader)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_msd.storage import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable

LayerData = tuple[Any, ...]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """The reader for a session file; ``None`` for anything else."""
    paths = [path] if isinstance(path, str) else path
    return read_session if all(p.endswith(SUFFIX) for p in paths) else None


def read_session(path: str | list[str]) -> list[LayerData]:
    """Open a session in the viewer's panel, which brings back layers, networks and view.

    Returns
    -------
    list
        No layer of its own: the panel adds them.

    Raises
    ------
    SessionError
        If no viewer is open, or several sessions are opened at once; one sentence.
    """
    import napari
    from qtpy.QtCore import QTimer

    from napari_msd.core.errors import SessionError
    from napari_msd.plugin.dock import MSDSegmentationWidget

    paths = [path] if isinstance(path, str) else path
    if len(paths) > 1:
        raise SessionError("Open one session at a time.")
    viewer = napari.current_viewer()
    if viewer is None:
        raise SessionError(
            "A session is opened in napari; `napari-msd sessions export` writes its strokes."
        )
    widget = MSDSegmentationWidget.of(viewer)
    if widget is None:
        _, widget = viewer.window.add_plugin_dock_widget("napari-msd", "MS-D Segmentation")
    # napari is still busy with opening: the session's own images are opened after that
    QTimer.singleShot(0, lambda: widget.open_session(Path(paths[0])))
    return [(None,)]
