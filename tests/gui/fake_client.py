"""A trainer without training: records what it is asked, says what a test says.

Used where a test is about the window alone. It keeps the contract of the real ones
(tests/trainer/test_contract.py); what crosses the process boundary is tested with those.
"""

import numpy as np

from napari_msd.core.space import Slab
from napari_msd.session.ports import SOURCE
from napari_msd.trainer.envelopes import Gate
from napari_msd.trainer.messages import (
    Finished,
    Measured,
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
        self.gate = Gate(session=1)
        self.calls = []
        self.opened = None
        self.strokes = {}
        self.view = None
        self.live = False
        self.work = ""
        """What was asked for and has not ended: update, predict, or nothing."""
        self.started = self.closed = False
        self.model = None
        self.pid = None
        self.measured, self.request = None, 0
        self.answers_stop = True
        """Whether work that is stopped ends at once; else a test says when."""

    @property
    def number(self):
        """Of the newest epoch."""
        return self.gate.epoch

    def start(self):
        if not self.started:
            self.started = True
            self.pid = 1
            self.say(Ready("CPU test", "because this is a test", "cpu", 1, {"torch": "0"}))

    def say(self, event, epoch=None):
        """Something of the newest epoch, of this one, or of none (`Ready`, `TrainerDied`)."""
        epoch = self.number if epoch is None else epoch
        if isinstance(event, Ready | TrainerDied):
            epoch = 0
        if isinstance(event, Finished) and event.work == self.work:
            self.work = ""
        if not self.closed and not self.gate.outdated(epoch, event):
            self.on_event(epoch, event)

    def open(self, settings, spaces, read, model=None, *, fit_normalisation=False):
        self.calls.append("open")
        self.gate.epoch += 1
        self.fit_normalisation = fit_normalisation
        self.opened = (settings, spaces, read, model)
        self.strokes = {}
        self.model = model
        self.live, self.work, self.measured = False, "", None
        return self.number

    @property
    def space(self):
        """Of the one source."""
        (space,) = self.opened[1].values()
        return space

    def set_strokes(self, blocks):
        self.calls.append("strokes")
        for block in blocks if self.opened is not None else ():
            box, values = block.box, np.asarray(block.values)
            assert values.shape == box.shape
            for slab in Slab.all_of(box, 2):
                index = tuple(i - a for i, a in zip(slab.index, box.start, strict=False))
                plane = self.strokes.setdefault(slab.index, np.zeros(self.space.spatial, np.uint8))
                plane[box.last(2).slices] = values[index]

    def set_view(self, box):
        self.view = box

    def set_live(self, on):
        self.calls.append(f"live {on}")
        self.live = on
        if not on and self.answers_stop:
            self.say(Finished("stop"))

    def update_once(self):
        self.calls.append("update")
        self.work = "update"

    def predict_all(self, boxes):
        self.calls.append("predict")
        self.boxes = boxes
        if self.model is None:
            self.fail("There is no trained network yet.")
        else:
            self.work = "predict"

    def set_uncertainty(self, on):
        self.calls.append(f"uncertainty {on}")

    def refresh(self):
        self.calls.append("refresh")

    def show_me(self):
        self.calls.append("show me")

    def cancel(self):
        self.calls.append("cancel")
        self.live, self.measured = False, None
        if self.answers_stop:
            if self.work:
                self.say(Finished(self.work, cancelled=True))
            self.say(Finished("stop"))

    def measure(self, models, request=0):
        self.calls.append("measure")
        self.measured, self.request = models, request

    def close(self):
        self.closed = True

    # --- what a real one does by itself ----------------------------------------------------

    def complete(self):
        """Do what was asked for, to the end."""
        if self.measured is not None:
            measured, self.measured = self.measured, None
            self.say(Measured(dict.fromkeys(range(len(measured)), 0.5), self.request))
        if self.work == "update" or self.live:
            self.train()
            self.keep()
            self.predict(1, box=self.view)
            if self.work == "update":
                self.say(Finished("update"))
        elif self.work == "predict":
            for box in self.boxes:
                self.predict(1, box=box)
            self.say(Finished("predict"))

    def die(self, restarting=True):
        """End unasked; the next one goes on where this one was."""
        self.work = ""
        self.say(TrainerDied("The trainer stopped unexpectedly.", restarting))

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

    def predict(self, value, plane=(), box=None, uncertainty=None, network="one"):
        """One block: of a box, else all of a slab; `plane` is its index."""
        box = self.space.slab(SOURCE, plane) if box is None else box
        labels = np.full(box.shape, value, np.uint8)
        values = None if uncertainty is None else np.full(box.shape, uncertainty, np.uint8)
        self.say(OverlayBlock(box, 1, labels, values, network))

    def keep(self, model=b"weights", step=10, score=0.8, pieces=20, painted=400):
        self.model = model
        self.say(ModelKept(model, step, score, pieces, painted))

    def fail(self, text):
        self.say(Notice("error", text))
