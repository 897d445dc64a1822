"""Every control of the panel pressed in a live session, and how long the window stood still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QWidget,
)

from faults.window_session import button, paint_halves, session, spin, wait_for

TICK_MS = 5


class LoopWatch:
    """Finds the longest time in which the event loop did not turn.

    A timer that ticks every few milliseconds is late by as much as anything blocked the loop.
    """

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)
        self._last = self._last_cpu = 0.0
        self.worst = self.worst_cpu = 0.0
        self.restart()

    def restart(self) -> None:
        """Measure from now on."""
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self.worst = self.worst_cpu = 0.0

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        if now - self._last > self.worst:
            self.worst, self.worst_cpu = now - self._last, cpu - self._last_cpu
        self._last, self._last_cpu = now, cpu


class Answers:
    """Answers what would wait for a person: file dialogs, questions, menus."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        QFileDialog.getSaveFileName = staticmethod(self._save)
        QFileDialog.getOpenFileName = staticmethod(self._open)
        self._timer = QTimer()
        self._timer.timeout.connect(self._answer)
        self._timer.start(50)

    def _save(self, parent: Any, title: str, suggested: str, filters: str) -> tuple[str, str]:
        self._number += 1
        return str(self._folder / f"{self._number}-{Path(suggested).name}"), filters

    def _open(self, parent: Any, title: str, suggested: str, filters: str) -> tuple[str, str]:
        models = sorted(self._folder.glob("*.safetensors"))
        return (str(models[-1]) if models else "", filters)

    def _answer(self) -> None:
        if (popup := QApplication.activePopupWidget()) is not None:
            popup.close()
        modal = QApplication.activeModalWidget()
        if isinstance(modal, QMessageBox):
            (modal.defaultButton() or modal.buttons()[0]).click()
        elif isinstance(modal, QDialog):
            modal.reject()


@dataclass(frozen=True)
class Control:
    """Something to press: whether it can be, how, and how it is put back."""

    name: str
    enabled: Callable[[], bool]
    press: Callable[[], object]
    put_back: Callable[[], object] = lambda: None


def controls_of(panel: QWidget) -> list[Control]:
    """What there is in the panel now."""
    found = [_control(widget) for widget in panel.findChildren(QWidget) if widget.isVisible()]
    for menu in panel.findChildren(QMenu):
        for action in menu.actions():
            if not action.isSeparator() and action.menu() is None and action.text():
                name = f"menu: {action.text()}"
                found.append(Control(name, action.isEnabled, action.trigger))
    return [control for control in found if control is not None]


def _control(widget: QWidget) -> Control | None:
    name = widget.objectName()
    enabled = widget.isEnabled
    if isinstance(widget, QAbstractButton) and (name or widget.text()):
        return Control(name or widget.text(), enabled, widget.click)
    if not name or "qt_" in name:
        return None
    if isinstance(widget, QComboBox) and widget.count() > 1:
        before = widget.currentIndex()
        after = (before + 1) % widget.count()
        return Control(
            name,
            enabled,
            lambda: widget.setCurrentIndex(after),
            lambda: widget.setCurrentIndex(before),
        )
    if isinstance(widget, QAbstractSlider):
        return Control(name, enabled, lambda: widget.setValue(widget.value() + 1))
    if isinstance(widget, QAbstractSpinBox):
        return Control(name, enabled, widget.stepUp)
    if isinstance(widget, QAbstractItemView):
        return Control(
            f"{name}: a row",
            enabled,
            lambda: widget.setCurrentIndex(widget.model().index(0, 0)),
        )
    if isinstance(widget, QLineEdit):
        return Control(name, enabled, lambda: widget.setText(f"{widget.text()}x"))
    return None


LAST = (
    "predict_all_button",
    "stop_button",
    "update_once_button",
    "start_over_button",
    "remove_class_button",
    "merge_class_button",
)
"""Pressed after the others, which need what these end."""

PATIENCE = 20.0
"""Seconds until a control that stays disabled is given up."""


class Presses:
    """Presses and measures; the longest block of each action.

    Parameters
    ----------
    msd
        The panel's session.
    settle
        Seconds to go on measuring after an action.
    """

    def __init__(self, msd: Any, settle: float) -> None:
        self._msd, self._settle = msd, settle
        self._watch = LoopWatch()
        self.blocks: dict[str, list[float]] = {}
        """Seconds, and the processor time of the window's thread in them."""
        self.disabled: list[str] = []

    def measured(self, name: str, act: Callable[[], object], rest: float = 1.0) -> None:
        """Do something and let the window run on for `rest` times the settling time."""
        self._watch.restart()
        act()
        spin(rest * self._settle)
        if self._watch.worst > self.blocks.get(name, [0.0])[0]:
            self.blocks[name] = [self._watch.worst, self._watch.worst_cpu]
        for window in QApplication.topLevelWidgets():
            if isinstance(window, QDialog) and window.isVisible():
                window.close()

    def all_controls(self) -> None:
        """Every control once; some appear only when others were pressed."""
        pressed: set[str] = set()
        live = button(self._msd.panel, "live_button")
        for _ in range(4):
            new = [it for it in controls_of(self._msd.panel) if it.name not in pressed]
            for control in sorted(new, key=_turn):
                pressed.add(control.name)
                if not live.isChecked() and control.name not in LAST:
                    live.click()
                    spin(self._settle)
                until = time.perf_counter() + PATIENCE
                while not control.enabled() and time.perf_counter() < until:
                    spin(0.1)
                if not control.enabled():
                    self.disabled.append(control.name)
                    continue
                self.measured(control.name, control.press)
                self.measured(control.name, control.put_back)


def _turn(control: Control) -> int:
    return LAST.index(control.name) if control.name in LAST else -1


def press_everything(data: Any, folder: Path, settle: float) -> dict[str, Any]:
    """Press every control of a live session with an image; what blocked, what was disabled."""
    with session(data) as (viewer, msd):
        answers, presses = Answers(folder), Presses(msd, settle)
        measured, camera = presses.measured, viewer.scene.camera
        measured("nothing (the window at rest)", lambda: None)
        measured("napari itself: the camera moves", lambda: setattr(camera, "zoom", 1.0))
        measured("+ and brush steps", lambda: paint_halves(msd))
        measured("Live switched on", button(msd.panel, "live_button").click, 3)
        wait_for(lambda: msd.controller.overlay.has_content, "a segmentation")
        wait_for(lambda: msd.controller.weights.model is not None, "a network")
        layer = msd.controller.chosen.annotation
        middle = [n // 2 for n in layer.data.shape]
        measured("a stroke while Live", lambda: layer.paint(middle, 1), 2)
        measured("undo while Live", layer.undo, 2)
        if viewer.dims.ndim > 2:
            measured("another plane", lambda: viewer.dims.set_point(0, 0), 2)
        presses.all_controls()
        wait_for(lambda: not msd.results.writing, "the end of the export")
        closed = _closed(viewer, msd)
        del answers
    return {"blocks": presses.blocks, "disabled": presses.disabled, "closed": closed}


def _closed(viewer: Any, msd: Any) -> list[float]:
    """Close the window while the trainer works.

    Seconds that the loop stands still, and of them the plugin's; seconds until the trainer is gone.
    """
    live = button(msd.panel, "live_button")
    if not live.isChecked():
        live.click()
    wait_for(lambda: msd.controller.connection.client.pid is not None, "the trainer")
    pid = msd.controller.connection.client.pid
    end_of_session, ours = msd.end, []

    def end() -> None:
        began = time.perf_counter()
        end_of_session()
        ours.append(time.perf_counter() - began)

    msd.end = end
    began = time.perf_counter()
    viewer.close()
    QApplication.processEvents()
    took = [time.perf_counter() - began, sum(ours)]
    until = time.perf_counter() + 30
    while psutil.pid_exists(pid) and time.perf_counter() < until:
        time.sleep(0.02)
    return [*took, time.perf_counter() - began]
