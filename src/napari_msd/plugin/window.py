"""One session's window: the panel and its connections to the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_msd.core.errors import MSDError
from napari_msd.plugin.class_actions import ClassActions
from napari_msd.plugin.event_queue import EventQueue
from napari_msd.plugin.layer_picker import LayerPicker
from napari_msd.plugin.results import Results
from napari_msd.plugin.theme import palette
from napari_msd.plugin.versions import Versions
from napari_msd.session.availability import Situation, reasons
from napari_msd.session.controller import Controller
from napari_msd.session.memory import remembered_classes
from napari_msd.session.work_state import LiveState
from napari_msd.trainer.messages import Progress, Ready
from napari_msd.viewer import layers
from napari_msd.viewer.connect import connect_viewer
from napari_msd.viewer.key_bindings import bind_viewer_keys
from napari_msd.viewer.preferences import plugin_settings, read_preferences
from napari_msd.viewer.result_layers import selection_kept
from napari_msd.viewer.viewer_memory import memory_of
from napari_msd.widgets import texts
from napari_msd.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable


class SessionWindow(QWidget):
    """All parts of one viewer's session; active until `end`.

    Parameters
    ----------
    viewer
        The napari viewer (or its proxy).
    make_client
        Makes the trainer's client; set only by tests.
    """

    def __init__(self, viewer: Any, make_client: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.viewer = viewer
        self.preferences = preferences = read_preferences()
        memory = memory_of(viewer, preferences.preset, preferences.device)
        classes = remembered_classes(memory)
        self._events = EventQueue(self)
        self.layers = connect_viewer(viewer, classes, self)
        self.controller = controller = Controller(
            self.layers.ports, memory, classes, self._events.call_soon, make_client
        )
        # however this window is closed, the trainer process must end with it
        self.destroyed.connect(controller.connection.close)
        self.layers.overlay.opacity = preferences.overlay_opacity
        self.layers.overlay.set_rate(preferences.refresh_rate)
        self.panel = panel = Panel(classes)
        self.results = Results(viewer, controller, self)
        self.versions = Versions(controller, self)
        self.class_actions = ClassActions(controller, self.layers.annotation_tools, panel, self)
        self.picker = LayerPicker(viewer, panel.image_combo, panel.annotation_combo, self)
        image, annotation = controller.memory.chosen
        self.picker.choose(image=image, annotation=annotation)
        self._ready: Ready | None = None
        self._progress: Progress | None = None
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(100)
        self._refresh_timer.timeout.connect(self._show_soon)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)

        panel.preset_combo.setCurrentText(controller.network.preset)
        panel.device_combo.setCurrentText(controller.network.device)
        self._connect_signals()
        self._keys = bind_viewer_keys(
            viewer, panel.live_button.click, panel.show_me_button.click, self.layers.overlay.hide
        )
        viewer.events.theme.connect(self._on_theme)
        self._preferences = plugin_settings()
        if self._preferences is not None:
            self._preferences.display.events.connect(self._on_preferences)
        self._on_theme()
        self._on_layers()

    def end(self) -> None:
        """Close the session: end the trainer process, release connections and keys."""
        self._refresh_timer.stop()
        self._keys.release()
        self.viewer.events.theme.disconnect(self._on_theme)
        if self._preferences is not None:
            self._preferences.display.events.disconnect(self._on_preferences)
            self._preferences = None
        self.picker.chosen.disconnect(self._on_layers)
        self.picker.close()
        self.controller.close()

    # --- connections ---------------------------------------------------------------------

    def _connect_signals(self) -> None:
        panel, controller, results = self.panel, self.controller, self.results
        self.picker.chosen.connect(self._on_layers)
        self.picker.annotation_picked.connect(self._on_annotation_picked)
        panel.new_annotation_button.clicked.connect(self.new_annotation)
        panel.continue_button.clicked.connect(controller.weights.continue_from_another_image)
        panel.preset_combo.currentTextChanged.connect(controller.set_preset)
        panel.device_combo.currentTextChanged.connect(controller.set_device)
        panel.live_button.toggled.connect(controller.set_live)
        panel.update_once_button.clicked.connect(controller.update_once)
        panel.stop_button.clicked.connect(controller.stop)
        panel.predict_all_button.clicked.connect(controller.predict_all)
        panel.show_me_button.clicked.connect(
            lambda: controller.attempt(controller.active_learning.show_me)
        )
        panel.uncertainty_button.toggled.connect(
            lambda on: controller.attempt(lambda: controller.active_learning.switch(on))
        )
        panel.history_button.clicked.connect(self.versions.show)
        controller.active_learning.switched.connect(self._on_uncertainty)
        panel.export_button.clicked.connect(results.ask_export)
        panel.copy_button.clicked.connect(results.ask_copy)
        panel.save_model_button.clicked.connect(results.ask_save_model)
        panel.load_model_button.clicked.connect(results.ask_load_model)
        panel.start_over_button.clicked.connect(results.start_over)
        panel.class_list.currentRowChanged.connect(self._refresh)
        results.writing_changed.connect(self._refresh)
        controller.notices.notice.connect(panel.status_label.notify)
        controller.notices.acted.connect(panel.status_label.dismiss)
        controller.notices.past.connect(panel.status_label.retract)
        controller.strokes.edited.connect(panel.status_label.dismiss_info)
        controller.live_state.connect(self._on_live_state)
        controller.work_changed.connect(self._refresh)
        controller.network_changed.connect(self._on_network_changed)
        controller.heard.connect(self._on_event)
        controller.screen.changed.connect(self._refresh)
        self.layers.overlay.written.connect(self._refresh)
        controller.classes.changed.connect(self._refresh)
        controller.classes.numbers_changed.connect(self._refresh)
        self.layers.annotation_tools.brush_changed.connect(self._refresh)
        self.layers.annotation_tools.picked.connect(self._refresh)

    # --- layers --------------------------------------------------------------------------

    def _on_layers(self) -> None:
        self.layers.chosen.choose(self.picker.image, self.picker.annotation)
        image = self.picker.image
        try:
            text = "" if image is None else layers.describe(image)
        except (IndexError, ValueError):
            text = ""
        self.panel.image_text.setText(text)
        self.panel.image_text.setVisible(bool(text))
        problem = self.controller.chosen.problem()
        if image is not None and self.picker.annotation is not None and problem is not None:
            self.panel.status_label.notify("error", str(problem))
        self._refresh()

    def _on_annotation_picked(self, annotation: Any) -> None:
        """Activate the chosen annotation, so that the next stroke goes there."""
        self.viewer.layers.selection.active = annotation

    def new_annotation(self) -> None:
        """Add an annotation layer over the image, ready for painting."""
        image, present = self.picker.image, self.viewer.layers
        try:
            if problem := self.controller.chosen.problem(need_annotation=False):
                raise problem
            zoom = float(self.viewer.scene.camera.zoom) * float(min(abs(image.scale[-2:])))
            brush = layers.small_brush(image, zoom, self.preferences.brush_size)
            name = layers.free_name("strokes", {layer.name for layer in present})
            layer = layers.new_annotation(image, name, brush)
        except MSDError as error:
            self.panel.status_label.notify("error", str(error))
            return
        table = self.controller.classes
        table.save_to(layer)  # named before the first stroke, or the same as on the last image
        with selection_kept(self.viewer):  # the other layers stay as they are
            present.append(layer)
        self.picker.choose(annotation=layer)
        present.selection.active = layer
        layer.mode = "paint"
        self.controller.notices.acted.emit()

    # --- what is shown -------------------------------------------------------------------

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Ready):
            self._ready = event
        elif isinstance(event, Progress):
            self._progress = event
            self.panel.loss_plot.add(event)
        else:
            return
        self._show_soon()

    def _show_soon(self) -> None:
        """Show figures and plot, but not while a brush is moving, which they would delay."""
        if self.layers.strokes.brush_moving:
            self._refresh_timer.start()
        else:
            self.panel.loss_plot.draw()
            self._refresh()

    def _show_figures(self) -> None:
        label, controller = self.panel.status_label, self.controller
        present = controller.network.history.present
        score = None if present is None else present.figures.score
        label.set_figures(texts.figures(self._ready, self._progress, score))
        label.setToolTip(texts.figures_tooltip(self._ready))
        value, text = texts.bar(controller.work, controller.live, self._progress)
        self.panel.progress_bar.setValue(value)
        self.panel.progress_bar.setFormat(text)

    def _on_live_state(self, state: LiveState) -> None:
        button = self.panel.live_button
        with signals_blocked(button):
            button.setChecked(self.controller.live)
        button.set_state(state)
        self._refresh()

    def _on_uncertainty(self, on: bool) -> None:
        button = self.panel.uncertainty_button
        with signals_blocked(button):
            button.setChecked(on)

    def _refresh(self) -> None:
        """Enable the buttons that can be used now, and show the next step."""
        panel, controller = self.panel, self.controller
        n_painted = sum(1 for info in controller.classes if info.pixels)
        panel.set_reasons(reasons(self._situation()))
        another = controller.network.of_another_image
        panel.offer_to_continue(another.source if another is not None else "")
        panel.start_over_button.setText(
            "Bring back" if self.results.can_bring_back else "Start over"
        )
        if not controller.live and not controller.work:
            self._progress = self._progress and _without_training_figures(self._progress)
        waiting = self._progress is not None and self._progress.state == "waiting"
        panel.status_label.set_advice(
            texts.advice(self._progress, controller.classes.names) if controller.live else ""
        )
        needs = self._progress.needs if controller.live and waiting and self._progress else ""
        panel.status_label.set_hint(
            (needs if n_painted > 1 else "")  # else the hint names the missing class
            or texts.hint(
                image=controller.chosen.image is not None,
                problem=str(controller.chosen.problem(need_annotation=False) or ""),
                annotation=controller.chosen.annotation is not None,
                brush=self.layers.annotation_tools.painting_tool_active,
                n_painted=n_painted,
                work=controller.work,
                live=controller.live,
                trained=controller.weights.model is not None,
                flat=self.layers.screen.planes_lie_flat(),
                idle=controller.state is LiveState.IDLE,
            )
        )
        self._show_figures()

    def _situation(self) -> Situation:
        controller = self.controller
        image_problem = controller.chosen.problem(need_annotation=False)
        return Situation(
            image_problem=str(image_problem or ""),
            problem=str(image_problem or controller.chosen.problem() or ""),
            live=controller.live,
            work=controller.work,
            stopping=controller.stopping,
            trained=controller.weights.model is not None,
            segmented=self.layers.overlay.present and self.layers.overlay.has_content,
            uncertainty=controller.active_learning.on,
            classes=len(controller.classes),
            picked=self.panel.class_list.current_value is not None,
            versions=len(controller.network.history.versions),
            forgotten=self.results.can_bring_back,
            writing=self.results.writing,
        )

    def _on_network_changed(self) -> None:
        """Remove figures, curves and scores of another network, image or annotation."""
        self.panel.loss_plot.clear_history()
        self._progress = None
        self.controller.classes.set_scores({})
        combo = self.panel.preset_combo
        with signals_blocked(combo):
            combo.setCurrentText(self.controller.network.preset)
        self._refresh()

    def _on_theme(self, event: Any = None) -> None:
        self.panel.set_palette(palette(self.viewer))

    def _on_preferences(self, event: Any = None) -> None:
        self.preferences = preferences = read_preferences()
        overlay = self.layers.overlay
        overlay.opacity = preferences.overlay_opacity
        overlay.set_rate(preferences.refresh_rate)
        if overlay.present:
            overlay.layer.opacity = preferences.overlay_opacity


def _without_training_figures(progress: Progress) -> Progress:
    """The same figures without those of running training."""
    return Progress(
        "idle",
        step=progress.step,
        held_out_iou=progress.held_out_iou,
        score=progress.score,
        best_score=progress.best_score,
    )
