"""Shows the session's state in the panel: what can be done, what comes next, all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from superqt.utils import signals_blocked

from napari_msd.core.space import Slab
from napari_msd.session.availability import Situation, reasons
from napari_msd.session.speed import Speed
from napari_msd.session.work_state import LiveState
from napari_msd.trainer.messages import Progress, Ready
from napari_msd.widgets import texts
from napari_msd.widgets.next_step import advice, next_step
from napari_msd.widgets.plain_text import shortened

if TYPE_CHECKING:
    from napari_msd.core.box import Box
    from napari_msd.plugin.painting import Painting
    from napari_msd.plugin.results import Results
    from napari_msd.plugin.view_switch import ViewSwitch
    from napari_msd.session.controller import Controller
    from napari_msd.viewer.connect import ConnectedViewer
    from napari_msd.widgets.panel import Panel

_CONTINUE = "continue"
"""Key of the offer to continue from another image's network."""
_PAUSE_MS = 100
"""Time until figures are shown again while a brush is moving."""


class Display(QObject):
    """Renders controller, layers and trainer's figures; holds only the newest figures.

    Parameters
    ----------
    controller, layers, results
        What is shown.
    view, painting
        Show their own part of the panel.
    panel
        Where it is shown.
    """

    def __init__(
        self,
        controller: Controller,
        layers: ConnectedViewer,
        results: Results,
        view: ViewSwitch,
        painting: Painting,
        panel: Panel,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._controller, self._layers, self._results = controller, layers, results
        self._view, self._painting, self._panel = view, painting, panel
        self._ready: Ready | None = None
        self._progress: Progress | None = None
        self._speed = Speed()
        self._running = (False, "")
        """Whether Live was on, and which work ran, when the progress of the view began anew."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._show_soon)
        self._connect()

    def close(self) -> None:
        """Show nothing any more."""
        self._timer.stop()

    def _connect(self) -> None:
        controller, layers, panel = self._controller, self._layers, self._panel
        controller.notices.notice.connect(panel.status_label.notify)
        controller.notices.acted.connect(panel.status_label.dismiss)
        controller.notices.past.connect(panel.status_label.retract)
        controller.strokes.edited.connect(panel.status_label.dismiss_info)
        controller.live_state.connect(self._on_live_state)
        controller.work_changed.connect(self._on_work)
        controller.network_changed.connect(self._on_network_changed)
        controller.heard.connect(self._on_event)
        controller.screen.changed.connect(self._on_view)
        controller.classes.changed.connect(self.refresh)
        controller.classes.numbers_changed.connect(self.refresh)
        layers.overlay.written.connect(self.refresh)
        layers.overlay.flushed.connect(self._show_result)
        layers.overlay.look_changed.connect(self._view.refresh)
        layers.annotation_tools.brush_changed.connect(self.refresh)
        layers.annotation_tools.picked.connect(self.refresh)
        panel.class_list.currentRowChanged.connect(self.refresh)
        self._results.writing_changed.connect(self.refresh)

    # --- events --------------------------------------------------------------------------

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Ready):
            self._ready = event
        elif isinstance(event, Progress):
            self._progress = event
            self._speed.hear(event)
            self._panel.loss_plot.add(event)
        else:
            return
        self._show_soon()

    def _show_soon(self) -> None:
        """Show figures and plot, but not while a brush is moving, which they would delay."""
        if self._layers.strokes.brush_moving:
            self._timer.start()
        else:
            self._panel.loss_plot.draw()
            self.refresh()

    def _on_view(self) -> None:
        self._layers.overlay.progress.restart()
        self.refresh()

    def _on_work(self) -> None:
        running = self._controller.live, self._controller.work
        if running != self._running:  # new weights are reported by the same signal
            self._running = running
            self._layers.overlay.progress.restart()
        self.refresh()

    def _on_live_state(self, state: LiveState) -> None:
        button = self._panel.live_button
        with signals_blocked(button):
            button.setChecked(self._controller.live)
        self._show_figures()
        self.refresh()

    def _on_network_changed(self) -> None:
        """Remove figures, curves and scores of another network, image or annotation."""
        self._panel.loss_plot.clear_history()
        self._progress = None
        self._speed.reset()
        self._controller.classes.set_scores({})
        combo = self._panel.preset_combo
        with signals_blocked(combo):
            combo.setCurrentText(self._controller.network.preset)
        self.refresh()

    # --- what is shown -------------------------------------------------------------------

    def refresh(self) -> None:
        """Show everything anew."""
        panel, controller = self._panel, self._controller
        panel.set_reasons(reasons(self._situation()))
        panel.show_start(controller.chosen.image is None)
        panel.start_over_button.setText(
            "Bring back" if self._results.can_bring_back else "Start over"
        )
        self._show_offer()
        if not controller.live and not controller.work:
            self._progress = self._progress and _without_training_figures(self._progress)
            self._speed.reset()
        self._show_sentence()
        self._painting.refresh()
        self._view.refresh()
        self._show_figures()

    def _show_offer(self) -> None:
        """Offer to continue from another image's network, as long as there is none here."""
        offers, another = self._panel.offers, self._controller.network.of_another_image
        if another is None:
            offers.withdraw(_CONTINUE)
            return
        offers.show_offer(
            _CONTINUE,
            texts.continue_from(shortened(another.source, 40)),
            [("Continue from it", self._controller.weights.continue_from_another_image)],
        )

    def _show_sentence(self) -> None:
        panel, controller = self._panel, self._controller
        n_painted = sum(1 for info in controller.classes if info.pixels)
        waiting = self._progress is not None and self._progress.state == "waiting"
        panel.status_label.set_advice(
            advice(self._progress, controller.classes.names) if controller.live else ""
        )
        needs = self._progress.needs if controller.live and waiting and self._progress else ""
        step = next_step(
            image=controller.chosen.image is not None,
            problem=str(controller.chosen.problem(need_annotation=False) or ""),
            annotation=controller.chosen.annotation is not None,
            brush=self._layers.annotation_tools.painting_tool_active,
            n_painted=n_painted,
            work=controller.work,
            live=controller.live,
            trained=controller.weights.model is not None,
            flat=self._layers.screen.planes_lie_flat(),
            idle=controller.state is LiveState.IDLE,
            slow_view=self._view_done() is not None,
        )
        # else the step names the missing class
        panel.status_label.set_hint((needs if n_painted > 1 else "") or step.text)
        panel.live.show_action(step.action)

    def _show_figures(self) -> None:
        panel, controller = self._panel, self._controller
        speed = texts.speed_text(self._speed.steps_per_second)
        panel.live_button.set_state(controller.state, speed)
        present = controller.network.history.present
        score = None if present is None else present.figures.score
        panel.sparkline.show_scores(panel.loss_plot.scores, texts.mean_text(self._progress, score))
        panel.menu.show_device(texts.device_text(self._ready), texts.figures_tooltip(self._ready))
        self._show_result()

    def _show_result(self) -> None:
        panel, controller, overlay = self._panel, self._controller, self._layers.overlay
        shown, view = overlay.present and overlay.has_content, self._visible()
        value, text = texts.bar(controller.work, controller.live, self._progress, self._view_done())
        panel.progress_bar.setValue(value)
        panel.progress_bar.setFormat(text)
        following = Slab.of(view, 2) if view is not None and controller.live else None
        now = overlay.coverage.up_to_date(following)
        panel.result.show_coverage(
            texts.coverage_text(now) if shown else "", complete=shown and now.complete
        )

    def _visible(self) -> Box | None:
        """What is on screen of an image that has a segmentation."""
        screen = self._layers.screen
        return screen.view() if self._layers.overlay.present and screen.watching else None

    def _view_done(self) -> float | None:
        """How much of the view is updated (0..1); ``None`` unless that takes long."""
        view = self._visible()
        if view is None or self._controller.work:
            return None
        return self._layers.overlay.progress.fraction(view)

    def _situation(self) -> Situation:
        controller = self._controller
        image_problem = controller.chosen.problem(need_annotation=False)
        return Situation(
            image_problem=str(image_problem or ""),
            problem=str(image_problem or controller.chosen.problem() or ""),
            live=controller.live,
            work=controller.work,
            stopping=controller.stopping,
            trained=controller.weights.model is not None,
            segmented=self._layers.overlay.present and self._layers.overlay.has_content,
            uncertainty=controller.active_learning.on,
            classes=len(controller.classes),
            picked=self._panel.class_list.current_value is not None,
            versions=len(controller.network.history.versions),
            forgotten=self._results.can_bring_back,
            writing=self._results.writing,
            annotation=controller.chosen.annotation is not None,
            flat=self._layers.screen.planes_lie_flat(),
        )


def _without_training_figures(progress: Progress) -> Progress:
    """The same figures without those of running training."""
    return Progress(
        "idle",
        step=progress.step,
        held_out_iou=progress.held_out_iou,
        score=progress.score,
        best_score=progress.best_score,
        iou_margin=progress.iou_margin,
        iou_pieces=progress.iou_pieces,
    )
