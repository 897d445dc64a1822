"""Sessions in a folder of the test's own."""

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import VersionFigures
from napari_msd.core.space import Space
from napari_msd.document import Document, History
from napari_msd.document.operations import BindSource, PaintBox
from napari_msd.storage import ImageReference, SessionFile
from napari_msd.storage.elsewhere import VARIABLE

SPACE = Space("YX", (300, 200))
REFERENCE = ImageReference("cells", "YX", SPACE.shape, 1, "uint16", path="/data/cells.tif")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of sessions."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


@pytest.fixture
def path(folder):
    return folder / "a session.msdsession"


@pytest.fixture
def sessions():
    """Everything opened through it is closed after the test."""
    opened = []

    def keep(session):
        opened.append(session)
        return session

    yield keep
    for session in opened:
        session.close(0.2)


@pytest.fixture
def session(path, sessions):
    return sessions(SessionFile.create(path))


def dab(top, left, value=1, size=5):
    box = Box(0, (top, left), (top + size, left + size))
    return PaintBox(box, np.full(box.shape, value, np.uint8))


def annotated(session, name="membrane", reference=REFERENCE):
    """A new image and annotation in a session, and its document."""
    number = session.add_annotation(session.add_image(reference), name)
    document = Document(session.journal(number))
    document.do(BindSource(0, SPACE, reference.name))
    return number, document


def history_of(*steps):
    history = History()
    for n in steps:
        figures = VersionFigures(n, 0.5, n, 10 * n, 7, "2026-01-01T00:00:00+00:00")
        history.add(b"model %d" % n * 100, figures, "cells")
    return history
