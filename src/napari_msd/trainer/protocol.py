"""What a session asks of a trainer, wherever the trainer runs.

Implementations: `napari_msd.trainer.client.TrainerClient` in a process of its own, and
`napari_msd.trainer.in_process.InProcessTrainer`. One test suite holds for all of them
(``tests/trainer/test_contract.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from napari_msd.core.box import Box, SourceId
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer.arrays import Pixels
from napari_msd.trainer.events import Event

OnEvent = Callable[[int, Event], None]
"""Takes the epoch that an event belongs to (see `Trainer.open`; 0: to none), and the event.

Called on a background thread, one event at a time. An event of an epoch that is no longer the
newest may still come if the next was opened at that moment: drop it.
"""

ReadPixels = Callable[[Box], Pixels]
"""Gives the pixels of a slab, of the shape of the box, with the channels behind if there are some.

Called on a background thread; may raise any error.
"""


class Trainer(Protocol):
    """A trainer and everything needed to replace it.

    All methods return at once and never raise for a dead trainer. If it dies or hangs, the answer
    is `TrainerDied`; a new one is started with the same settings, strokes, view and the last kept
    weights, and trains on if it was Live.
    """

    def start(self) -> None:
        """Launch it, so that it is warm when it is needed. Answer: `Ready`."""
        ...

    def open(
        self,
        settings: Settings,
        spaces: Mapping[SourceId, Space],
        read: ReadPixels,
        model: bytes | None = None,
        *,
        fit_normalisation: bool = False,
    ) -> int:
        """Begin a new epoch; returns its number, 1 or more.

        Earlier strokes are forgotten: send them again. All work of the epoch before ends.

        Parameters
        ----------
        settings
            Network and training.
        spaces
            The axes of each source; all have the same number of channels and of axes that are
            convolved over.
        read
            Gives the pixels of a slab; called only for slabs that are needed.
        model
            Bytes of a model file to go on from; an untrained network if not given.
        fit_normalisation
            Keep the model's weights only: the first slab sets the normalisation.
        """
        ...

    def set_strokes(self, blocks: Sequence[Painted]) -> None:
        """Painted values changed in these boxes: painted, erased or undone."""
        ...

    def set_view(self, box: Box) -> None:
        """What is on screen: predicted first, and again as training goes on."""
        ...

    def set_live(self, on: bool) -> None:
        """Train, and refresh the view, until switched off. Answer to off: ``Finished("stop")``."""
        ...

    def update_once(self) -> None:
        """Train for a few seconds, refresh the view once. Answer: ``Finished("update")``."""
        ...

    def predict_all(self, boxes: Sequence[Box]) -> None:
        """Segment whole slabs, in this order, with the kept weights.

        Answer: ``Finished("predict")``.
        """
        ...

    def set_uncertainty(self, on: bool) -> None:
        """Send with every block from now on how uncertain it is, or no longer."""
        ...

    def refresh(self) -> None:
        """Predict the view with the kept weights, although nothing is being learned."""
        ...

    def show_me(self) -> None:
        """Ask where labels would teach most. Answer: `LookHere`, or a notice why there is none."""
        ...

    def measure(self, models: Sequence[bytes], request: int = 0) -> None:
        """Compare models (bytes of model files) on the held-out strokes. Answer: `Measured`.

        The answer carries the number `request`. Dropped without an answer by another `measure`,
        `open` or `cancel`.
        """
        ...

    def cancel(self) -> None:
        """End whatever is under way; what was learned stays. Answer: ``Finished("stop")``."""
        ...

    @property
    def model(self) -> bytes | None:
        """Bytes of the model file with the newest kept weights."""
        ...

    @property
    def pid(self) -> int | None:
        """Number of the process it runs in, once it is `Ready` and while it lives."""
        ...

    def close(self) -> None:
        """End it. No event comes after this.

        Returns within about a second, whatever the trainer or the listener are doing.
        """
        ...
