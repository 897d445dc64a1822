"""The network that is shown and saved: as good as any seen while the strokes stay the same."""

from __future__ import annotations

from napari_msd.core.settings import Settings
from napari_msd.document import Amount
from napari_msd.images.model_file import ModelRecord
from napari_msd.inference import Predictor
from napari_msd.inference.ensemble import Ensemble
from napari_msd.inference.out_of_memory import TileLimit
from napari_msd.network import MSDNet
from napari_msd.training.network_id import digest_of
from napari_msd.training.networks import with_outputs
from napari_msd.training.scores import Scores
from napari_msd.training.training_data import TrainingData
from napari_msd.training.validation import temperature_of

NOISE = 0.02
"""A score (IoU, 0..1) lower by no more than this is not worse: a few held-out strokes, all of
them right before the first step, would otherwise hold on to it while the network improves."""


class KeptNetwork:
    """Weights worth predicting with, and what is known of them.

    Parameters
    ----------
    data
        What is learned from: classes that are painted no more are not predicted.
    """

    def __init__(self, data: TrainingData) -> None:
        self._data = data
        self.outputs: list[int] = []
        """Class value of each output of the network; outputs are added, never removed."""
        self.network: MSDNet | None = None
        self.mix: tuple[Ensemble, Ensemble] | None = None
        """What is mixed with the network: to be shown, and to be measured."""
        self.classes: set[int] = set()
        """Those that the network has learned."""
        self.steps = 0
        self.scores = Scores()
        self.amount = Amount(0, 0)
        """How much was painted when it was learned."""
        self.revision = -1
        """Of the annotation that it was last measured on; -1 before it was."""
        self.tiles = TileLimit()
        """What fits the memory when it predicts."""
        self._best_score = 0.0
        self._temperature: tuple[str, float] | None = None
        self._name: tuple[object, str] = None, ""

    # --- changes -------------------------------------------------------------------------

    def offer(
        self,
        network: MSDNet,
        mix: tuple[Ensemble, Ensemble] | None,
        steps: int,
        scores: Scores,
    ) -> None:
        """Keep newer weights unless they are worse than the best so far, by more than `NOISE`.

        After any change of the strokes they are kept whatever their score: it is another question.
        """
        score, revision = scores.mean or 0.0, self._data.annotation.revision
        if self.revision != revision:
            self._best_score = score
        self._best_score = max(self._best_score, score)
        if score < self._best_score - NOISE:
            return
        self.network, self.mix = network, mix
        self.steps, self.scores = steps, scores
        self.amount = self._data.split.amount
        self.classes = set(self._data.classes)
        self.revision = revision

    def grow(self, outputs: list[int]) -> None:
        """The outputs' classes are these now: the old ones, and new ones at the end."""
        self.outputs = outputs
        if self.network is not None:
            self.network = with_outputs(self.network, len(outputs))

    # --- answers -------------------------------------------------------------------------

    @property
    def learned(self) -> bool:
        """Whether there are weights worth predicting with."""
        return self.network is not None and bool(self.classes)

    @property
    def active(self) -> tuple[int, ...]:
        """Classes to predict: known to the weights and still painted.

        Without any strokes (a model that was just loaded) all that it knows.
        """
        known = tuple(v for v in self.outputs if v in self.classes)
        painted = self._data.classes
        return tuple(v for v in known if v in painted) or known

    @property
    def name(self) -> str:
        """A short name of what `predictor` answers with; empty before there is anything.

        The same network opened again has the same name, as long as the same of its classes
        are painted.
        """
        if self.network is None:
            return ""
        normalisation, active = self._data.normalisation, self.active
        made_of = self.network, self.steps, normalisation, active, self.mix
        if self._name[0] != made_of:
            digest = digest_of(self.network, normalisation, self.outputs, active, self._shown)
            self._name = made_of, digest
        return self._name[1]

    def predictor(self) -> Predictor:
        """The network, for the classes that it knows and that are still painted."""
        return self._predictor(self._shown)

    @property
    def temperature(self) -> float:
        """What makes the network as sure as it is right; found when it is asked for."""
        if self._temperature is None or self._temperature[0] != self.name:
            # not with trees that have seen the strokes that are measured on
            measured = self._predictor(self.mix[1] if self.mix is not None else None)
            self._temperature = self.name, temperature_of(measured, self._data.question)
        return self._temperature[1]

    def record(self, settings: Settings) -> ModelRecord:
        """The network as a model; `settings` are those it was trained with."""
        from napari_msd.training.record import record_of

        assert self.network is not None
        assert self._data.normalisation is not None
        return record_of(
            self.network,
            self.outputs,
            self._data.normalisation,
            settings,
            self._data.given,
            steps=self.steps,
            scores=self.scores,
            ensemble=self._shown,
        )

    @property
    def _shown(self) -> Ensemble | None:
        return self.mix[0] if self.mix is not None else None

    def _predictor(self, ensemble: Ensemble | None) -> Predictor:
        assert self.network is not None
        assert self._data.normalisation is not None
        return Predictor(
            self.network,
            self._data.normalisation,
            self.outputs,
            self.active,
            ensemble,
            self.tiles,
        )
