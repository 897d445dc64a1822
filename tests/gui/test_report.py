"""Report a problem: the dialog, and what stands in the text."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QDialog, QPlainTextEdit, QPushButton

from napari_msd.core.logs import last_lines, start_log
from napari_msd.plugin.report import report_problem, show_report
from napari_msd.session.report import problem_report


@pytest.fixture
def dialog(painted, qtbot):
    report_problem(painted.session, painted.controller)
    return painted.session.findChild(QDialog, "report_dialog")


def test_the_dialog_shows_a_text_to_copy(dialog, qtbot):
    text = dialog.findChild(QPlainTextEdit, "report_text")
    assert text.isReadOnly()
    QApplication.clipboard().setText("")
    dialog.findChild(QPushButton, "report_copy_button").click()
    assert QApplication.clipboard().text() == text.toPlainText()
    for part in ("## Versions", "napari 0", "PyQt6 6", "torch 2", "## Machine", "logical cores"):
        assert part in text.toPlainText()
    for part in ("CPU test: because this is a test", "preset quick, device auto, seed 0"):
        assert part in text.toPlainText()
    assert "image: 128 x 160, float32, numpy.ndarray, pixel size 0.5, 0.5" in text.toPlainText()
    assert "annotation: 128 x 160, uint8" in text.toPlainText()


def test_closing_the_dialog_deletes_it(dialog, painted, qtbot):
    with qtbot.waitSignal(dialog.destroyed):
        dialog.close()


def test_the_text_is_never_taken_for_markup(painted):
    show_report(painted.session, "<b>bold</b>")
    dialog = painted.session.findChild(QDialog, "report_dialog")
    assert dialog.findChild(QPlainTextEdit).toPlainText() == "<b>bold</b>"


def test_neither_names_nor_folders_of_the_person_are_in_it(painted, image):
    image.name = "patient 17"
    home = str(Path.home())
    logging.getLogger("napari_msd").warning("Cannot read '%s/secret place/x.tif'", home)
    painted.controller.notices.warn("“patient 17” is empty; choose another image.")
    text = problem_report(painted.controller)
    assert "“…” is empty; choose another image." in text
    assert "patient 17" not in text
    assert home == "/" or home not in text
    assert "secret place" not in text
    assert "x.tif" in text
    assert "torch" not in sys.modules or "torch 2" in text


def test_without_layers_and_after_the_trainer_died(msd, viewer):
    msd.client.die(restarting=False)
    msd.client.pid = None
    viewer.layers.clear()
    text = problem_report(msd.controller)
    assert "image: none" in text
    assert "annotation: none" in text
    assert "is not running" in text


def test_a_lazy_stack_and_a_pyramid(open_widget, viewer):
    from .fake_client import FakeClient

    dask = pytest.importorskip("dask.array")
    viewer.add_image(dask.zeros((3, 64, 64), chunks=(1, 64, 64), dtype=np.uint16))
    it = open_widget(FakeClient)
    text = problem_report(it.controller)
    assert "image: 3 x 64 x 64, uint16, dask.Array" in text
    assert "axes ZYX (guessed), 1 channels in 1 layers" in text
    viewer.layers.clear()
    viewer.add_image([np.zeros((64, 64)), np.zeros((32, 32))], multiscale=True)
    assert "image: 64 x 64 and 32 x 32, float64" in problem_report(it.controller)


def test_what_is_said_is_logged(painted):
    path = start_log()  # the panel did it already
    painted.controller.notices.warn("Something to know.")
    painted.client.fail("Something went wrong.")
    QApplication.processEvents()
    assert last_lines(2)[0].endswith("WARNING napari_msd.session.notices: Something to know.")
    assert last_lines(1)[0].endswith("ERROR napari_msd.session.notices: Something went wrong.")
    assert "Something went wrong." in path.read_text("utf-8")
    assert "Something went wrong." in problem_report(painted.controller)
