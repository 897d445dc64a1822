"""One session's window: the panel and its connections to the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_msd.core.errors import MSDError
from napari_msd.plugin import texts
from napari_msd.plugin.channel_picker import ChannelPicker
from napari_msd.plugin.class_actions import ClassActions
from napari_msd.plugin.display import Display
from napari_msd.plugin.event_queue import EventQueue
from napari_msd.plugin.first_steps import FirstSteps
from napari_msd.plugin.image_choices import ImageChoices
from napari_msd.plugin.layer_picker import LayerPicker
from napari_msd.plugin.model_loading import ModelLoading
from napari_msd.plugin.painting import Painting
from napari_msd.plugin.report import report_problem
from napari_msd.plugin.results import Results
from napari_msd.plugin.sessions import SessionActions
from napari_msd.plugin.slice_guide import SliceGuide
from napari_msd.plugin.theme import palette
from napari_msd.plugin.versions import Versions
from napari_msd.plugin.view_switch import ViewSwitch
from napari_msd.session.controller import Controller
from napari_msd.session.memory import remembered_classes
from napari_msd.viewer import layers
from napari_msd.viewer.connect import connect_viewer
from napari_msd.viewer.key_bindings import bind_viewer_keys
from napari_msd.viewer.lasso import Lasso
from napari_msd.viewer.new_annotation import new_annotation
from napari_msd.viewer.place_marker import PlaceMarker
from napari_msd.viewer.preferences import plugin_settings, read_preferences
from napari_msd.viewer.result_layers import selection_kept
from napari_msd.viewer.viewer_memory import memory_of
from napari_msd.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_msd.core.box import Box


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
        self.results = Results(viewer, controller, self._events.call_soon, self)
        self.versions = Versions(controller, self)
        self.class_actions = ClassActions(controller, self.layers.annotation_tools, panel, self)
        self.picker = LayerPicker(viewer, panel.image_combo, panel.annotation_combo, self)
        self.channel_picker = ChannelPicker(viewer, memory, panel.head, self)
        self.image_choices = ImageChoices(
            viewer, controller, self.picker, self.channel_picker, panel, self
        )
        self.models = ModelLoading(controller, self.picker, self.channel_picker, self)
        image, annotation = controller.memory.chosen
        self.picker.choose(image=image, annotation=annotation)
        self.view_switch = ViewSwitch(controller, self.layers, panel, self)
        self.lasso = Lasso(viewer, self.layers.screen, self.layers.annotation_tools, self)
        painting = Painting(controller, self.layers, self.lasso, panel, self)
        self.marker = PlaceMarker(viewer, self)
        self.first_steps = FirstSteps(viewer, controller.notices, panel, self)
        self.display = Display(
            controller, self.layers, self.results, self.view_switch, painting, panel, self
        )
        self.slices = SliceGuide(controller, self.layers.screen, panel.slice_strip, self)
        self.sessions = SessionActions(
            viewer, controller, panel, self.picker, self._events.call_soon, self
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)

        panel.preset_combo.setCurrentText(controller.network.preset)
        panel.device_combo.setCurrentText(controller.network.device)
        self._connect_signals()
        self._keys = bind_viewer_keys(
            viewer, panel.live_button.click, panel.show_me_button.click, self.view_switch.hide
        )
        viewer.events.theme.connect(self._on_theme)
        self._preferences = plugin_settings()
        if self._preferences is not None:
            self._preferences.display.events.connect(self._on_preferences)
        self._on_theme()
        self._on_layers()
        self.sessions.offer()

    def end(self) -> None:
        """Close the session: end the trainer process, release connections and keys."""
        self.results.to_file.close()
        self.slices.close()
        self.sessions.close()
        self.display.close()
        self.lasso.cancel()
        self.marker.remove()
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
        self.channel_picker.chosen.connect(self._on_layers)
        controller.network_changed.connect(self.image_choices.refresh)
        panel.new_annotation_button.clicked.connect(self.new_annotation)
        panel.next_button.clicked.connect(self._on_next)
        panel.preset_combo.currentTextChanged.connect(controller.set_preset)
        panel.device_combo.currentTextChanged.connect(controller.set_device)
        panel.live_button.toggled.connect(controller.set_live)
        panel.update_once_button.clicked.connect(controller.update_once)
        self.layers.overlay.lost.connect(controller.notices.warn)
        panel.stop_button.clicked.connect(controller.stop)
        panel.predict_all_button.clicked.connect(controller.predict_all)
        panel.show_me_button.clicked.connect(
            lambda: controller.attempt(controller.active_learning.show_me)
        )
        panel.history_button.clicked.connect(self.versions.show)
        controller.active_learning.looked.connect(self._on_looked)
        # the ring goes with the sentence that speaks of it
        controller.notices.notice.connect(self._on_sentence_over)
        controller.notices.acted.connect(self._on_sentence_over)
        controller.strokes.edited.connect(self._on_sentence_over)
        panel.export_button.clicked.connect(results.ask_export)
        panel.copy_button.clicked.connect(results.ask_copy)
        panel.segment_file_button.clicked.connect(results.ask_segment_to_file)
        panel.save_model_button.clicked.connect(results.ask_save_model)
        panel.load_model_button.clicked.connect(self.models.ask_load_model)
        panel.start_over_button.clicked.connect(results.start_over)
        self.sessions.opening.opened.connect(self._on_session_opened)
        panel.menu.report_action.setEnabled(True)
        panel.menu.report_action.triggered.connect(lambda: report_problem(self, controller))

    # --- layers --------------------------------------------------------------------------

    def _on_layers(self) -> None:
        image = self.picker.image
        channels = self.channel_picker.update(image)
        self.layers.chosen.choose(image, self.picker.annotation, channels)
        if lost := self.channel_picker.lost:
            self.controller.notices.warn(texts.channel_lost(lost))
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
            layer = new_annotation(image, name, brush)
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

    def _refresh(self) -> None:
        """Show everything anew."""
        self.image_choices.refresh()
        self.display.refresh()

    def _on_next(self) -> None:
        """Do what belongs to the sentence."""
        if self.panel.next_button.property("action") == "new":
            self.new_annotation()
        else:
            self.layers.annotation_tools.take_tool("paint")

    def _on_looked(self, box: Box) -> None:
        """Mark the place that Show me has found."""
        if self.controller.chosen.image is not None:
            self.marker.show(self.controller.chosen.image, box)

    def _on_sentence_over(self, *_: object) -> None:
        self.marker.remove()

    def _on_session_opened(self) -> None:
        """Show the session's choices, and take the brush: the sentence says to go on painting."""
        self.layers.annotation_tools.take_tool("paint")
        network = self.controller.network
        for combo, text in (
            (self.panel.preset_combo, network.preset),
            (self.panel.device_combo, network.device),
        ):
            with signals_blocked(combo):
                combo.setCurrentText(text)
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
