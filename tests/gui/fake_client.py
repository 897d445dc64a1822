"""A trainer's client without a trainer: records what it is asked, says what a test says.

Used where a test is about the window alone; what crosses the wall is tested with the
real one.
"""

import numpy as np

from napari_msd.core.planes import Region
from napari_msd.trainer.messages import (
    Finished,
    ModelKept,
    Notice,
    OverlayBlock,
    Progress,
    Ready,
    TrainerDied,
)


class FakeClient:
    def __init__(self, on_event):
        self.on_event = on_event
        self.number = 0
        self.calls = []
        self.opened = None
        self.strokes = {}
        self.view = None
        self.live = False
        self.started = self.closed = False
        self.model = None
        self.pid = None
        self.answers_stop = True
        """Whether work that is stopped ends at once; else a test says when."""

    def start(self):
        self.started = True
        self.say(Ready("CPU test", "because this is a test", "cpu", 1, {"torch": "0"}))

    def say(self, event):
        """Something of the newest session, or of none (`Ready`, `TrainerDied`)."""
        none = isinstance(event, Ready | TrainerDied)
        self.on_event(0 if none else self.number, event)

    def open(
        self, settings, plane_shape, n_channels, read_plane, model=None, *, fit_normalisation=False
    ):
        self.calls.append("open")
        self.number += 1
        self.fit_normalisation = fit_normalisation
        self.opened = (settings, plane_shape, n_channels, read_plane, model)
        self.strokes = {}
        self.model = model
        return self.number

    def set_strokes(self, blocks):
        self.calls.append("strokes")
        for block in blocks:
            plane = self.strokes.setdefault(block.plane, np.zeros(self.opened[1], np.uint8))
            plane[block.region.slices] = block.values

    def set_view(self, view):
        self.view = view

    def set_live(self, on):
        self.calls.append(f"live {on}")
        self.live = on
        if not on and self.answers_stop:
            self.say(Finished("stop"))

    def update_once(self):
        self.calls.append("update")

    def predict_all(self, planes):
        self.calls.append("predict")
        self.planes = planes

    def set_uncertainty(self, on):
        self.calls.append(f"uncertainty {on}")

    def refresh(self):
        self.calls.append("refresh")

    def show_me(self):
        self.calls.append("show me")

    def cancel(self):
        self.calls.append("cancel")
        self.live = False
        if self.answers_stop:
            self.say(Finished("stop"))

    def measure(self, models, request=0):
        self.calls.append("measure")
        self.measured, self.request = models, request

    def close(self):
        self.closed = True

    # --- what a test makes it say ---------------------------------------------------------

    def train(self, step=10, loss=0.5, score=0.8, **more):
        more.setdefault("iou_margin", {1: 0.05, 2: 0.05})
        self.say(
            Progress(
                "training",
                step=step,
                loss=loss,
                held_out_iou={1: score, 2: score},
                score=score,
                best_score=score,
                steps_per_second=64.0,
                **more,
            )
        )

    def predict(self, value, plane=(), region=None, uncertainty=None, network="one"):
        region = region or Region(0, 0, *self.opened[1])
        labels = np.full(region.shape, value, np.uint8)
        unsure = uncertainty is not None
        values = np.full(region.shape, uncertainty, np.uint8) if unsure else None
        self.say(OverlayBlock(plane, region, 1, unsure, labels, values, network))

    def keep(self, model=b"weights", step=10, score=0.8, pieces=20, painted=400):
        self.model = model
        self.say(ModelKept(model, step, score, pieces, painted))

    def fail(self, text):
        self.say(Notice("error", text))
