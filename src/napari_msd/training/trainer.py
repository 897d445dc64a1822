"""A network learning from strokes that may change between any two steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_msd.core.box import Box
from napari_msd.core.errors import StrokesError
from napari_msd.core.settings import Settings
from napari_msd.core.space import Slab
from napari_msd.document import Amount, Annotation, ValidationSplit
from napari_msd.document.annotation_checks import MORE_OF_EACH, TWO_CLASSES
from napari_msd.images.model_file import ModelRecord, TreesRecord
from napari_msd.inference import (
    AnyNormalisation,
    EachPlane,
    Normalisation,
    Plane,
    Predictor,
    channels_first,
)
from napari_msd.inference.ensemble import Ensemble, Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.inference.normalisation import require_channels
from napari_msd.native.device import choose_device
from napari_msd.network import MSDNet
from napari_msd.training.bank import ensemble_of, shipped_bank
from napari_msd.training.early_stopping import Judgement
from napari_msd.training.learner import Learner
from napari_msd.training.mixing import Mixing
from napari_msd.training.network_id import digest_of
from napari_msd.training.networks import fresh_network, network_of, with_outputs
from napari_msd.training.patches import PatchSampler
from napari_msd.training.prior_correction import OffsetRule, damped_offsets, share_offsets
from napari_msd.training.scores import Scores
from napari_msd.training.start_weights import start_from_shipped
from napari_msd.training.validation import Question, answers_of, measure, temperature_of

MEASURE_EVERY = 20
FIRST_MEASURED = (5, 10)
"""Steps between two looks at the held-out strokes, and the first two, so that even a
slow network has something to show at once."""

NOISE = 0.02
"""A score (IoU, 0..1) lower by no more than this is not worse: a few held-out strokes, all of
them right before the first step, would otherwise hold on to it while the network improves."""

REGROW_EVERY = 4
"""Steps between two growths of the trees while a stroke is being painted."""

READOUT_PATCHES = 32
"""Patches that the first read-out is fitted to, before any step."""

SHARE_PATCHES = 12
"""Patches spread over the slabs that tell how common each class is."""


class Trainer:
    """Learns from the strokes it is given, and keeps weights that are as good as any seen.

    Give it pixels and annotation in any order and at any time, then call `step` as
    often as you like; `predictor` answers with the kept weights at any moment.

    Parameters
    ----------
    settings
        Network, training and device.
    n_channels
        Channels of every source.
    start
        A model to continue from; an untrained network if not given. Its network
        and normalisation are kept, whatever `settings` say of the network.
    fit_normalisation
        Keep the weights of `start` only; the first slab sets the normalisation.

    Raises
    ------
    SettingsError
        If the device asked for is not there.
    ModelFileError
        If `start` was made for another number of channels.
    """

    def __init__(
        self,
        settings: Settings,
        n_channels: int,
        start: ModelRecord | None = None,
        *,
        fit_normalisation: bool = False,
    ) -> None:
        self.settings = settings
        self.n_channels = n_channels
        self.annotation = Annotation()
        self.outputs: list[int] = []
        """Class value of each output of the network; outputs are added, never removed."""
        self.normalisation: AnyNormalisation | None = (
            EachPlane() if settings.normalise == "plane" else None
        )
        self.steps = 0
        self.loss: float | None = None
        self.scores = Scores()
        self.kept_scores = Scores()
        self.kept_steps = 0
        self.kept_amount = Amount(0, 0)
        """How much was painted when the kept weights were learned."""
        self.measured_steps = -1
        self.judgement = Judgement()
        self.slabs: dict[Slab, Plane] = {}
        """Pixels at hand, (C, Y, X)."""
        self._device, self._backend = choose_device(settings.device)
        self._split = ValidationSplit(self.annotation, settings.held_out_fraction, settings.seed)
        self._random = np.random.default_rng(settings.seed)
        self._sampler = PatchSampler(
            self.slabs, self.annotation, self._split, settings.patch_size, self._random
        )
        self._learner: Learner | None = None
        self._kept: MSDNet | None = None
        self._kept_mix: tuple[Ensemble, Ensemble] | None = None
        """What is mixed with the kept network: to be shown, and to be measured."""
        self._mixing: Mixing | None = None
        self._unopened: TreesRecord | None = None
        self._kept_classes: set[int] = set()
        self._kept_revision = -1
        self._best_score = 0.0
        self._baked_damping = 0.0
        """Of the class shares that are still in the outputs of a model that was started from."""
        self._temperature: tuple[int, float] | None = None
        self._network_id: tuple[object, str] = None, ""
        if start is not None:
            start.require_channels(n_channels)
            if start.normalise == "plane":
                self.normalisation = EachPlane()
            else:
                self.normalisation = (
                    None if fit_normalisation else Normalisation(start.mean, start.std)
                )
            self.outputs = [info.value for info in start.classes]
            self._adopt(network_of(start, self._backend).to(self._device))
            if start.trees is not None:
                self._unopened = start.trees
                self._open_trees()
            else:
                self._baked_damping = float(start.settings.get("share_damping", 0.0))
            self._kept_classes = set(self.outputs)
            self.steps = self.kept_steps = start.steps
            self.kept_scores = Scores(dict(start.scores))

    # --- what there is to learn from ---------------------------------------------------

    def set_pixels(self, box: Box, pixels: npt.NDArray[np.generic]) -> None:
        """Take in the pixels of a slab.

        With ``normalise="first"`` the first slab sets the normalisation for the whole session.

        Parameters
        ----------
        box
            A slab: all of the convolved axes of a source, at one index of the others.
        pixels
            (Y, X) or (Y, X, C).

        Raises
        ------
        ValueError
            If `box` and `pixels` are of different shapes.
        ImageError
            If it is empty, constant or of another number of channels.
        """
        convolved = self.annotation.convolved
        plane = channels_first(pixels, convolved)
        if plane.shape[1:] != box.shape[-convolved:] or plane[0].size != box.size:
            raise ValueError(f"pixels of shape {pixels.shape} are no slab of {box}")
        require_channels(plane, self.n_channels)
        first = Normalisation.of(plane)  # refuses what is empty or constant
        if self.normalisation is None:
            self.normalisation = first
            self._open_trees()
        self.slabs[Slab.of(box, convolved)] = plane

    @property
    def known_grey_values(self) -> Normalisation | None:
        """What all images are normalised by; None where that is not decided, or is by plane."""
        return self.normalisation if isinstance(self.normalisation, Normalisation) else None

    def drop_pixels(self, slab: Slab) -> None:
        """Forget a slab's pixels; its annotation stays."""
        self.slabs.pop(slab, None)

    def forget(self) -> None:
        """Forget all pixels and all annotation; what was learned stays."""
        self.slabs.clear()
        for box, values in list(self.annotation.chunks()):
            self.paint(box, np.zeros_like(values))

    def paint(self, box: Box, values: npt.NDArray[np.uint8]) -> None:
        """Painted values of `box` are now `values`: uint8 of its shape, 0 = unpainted."""
        if self.annotation.write(box, values) is not None:
            self.judgement.strokes_changed(self.steps)

    def missing(self) -> set[Slab]:
        """Painted slabs whose pixels are not here yet."""
        return self.annotation.slabs - set(self.slabs)

    @property
    def classes(self) -> list[int]:
        """Class values painted anywhere that can be trained on, ascending."""
        return self._split.classes

    def needs(self) -> str:
        """What the person should do before training can start; empty if nothing."""
        if len(self.classes) > 1:
            return ""
        return TWO_CLASSES if len(self.annotation.classes) < 2 else MORE_OF_EACH

    # --- learning -----------------------------------------------------------------------

    def step(self) -> float:
        """Learn from one batch of patches; returns its loss.

        Raises
        ------
        StrokesError
            If fewer than two classes are painted.
        """
        if needs := self.needs():
            raise StrokesError(needs)
        if self._learner is not None and self._kept_revision < 0:
            self._begin_on_a_model()
        fresh = self._learner is None
        if self._mixing is None and self.settings.trees:
            assert self.normalisation is not None
            bank = shipped_bank(self._backend).to(self._device)
            self._mix_trees(PixelFeatures(bank, self.normalisation), None)
        self._make_room_for_classes()
        assert self._learner is not None
        assert self.normalisation is not None
        if fresh and self.settings.pretrained:
            self.measure()  # trees and read-out are worth showing at once
        elif self._has_new_strokes_to_show:
            self.measure()
        batch = self._sampler.draw(self.settings.patches_per_step, self.classes, self.normalisation)
        self.loss = self._learner.learn(batch, self._outputs_of(self.classes))
        self.steps += 1
        if self.steps % MEASURE_EVERY == 0 or self.steps in FIRST_MEASURED:
            self.measure()
        return self.loss

    def measure(self) -> Scores:
        """Score the newest weights on held-out strokes, and keep them unless they are worse.

        Worse than the best so far, by more than `NOISE`. After any change of the strokes the
        newest weights are kept whatever their score: it is another question.
        """
        assert self._learner is not None
        assert self.normalisation is not None
        self.measured_steps = self.steps
        answer, mix, self.scores = self._answer_mixed() if self._mixing else self._answer_alone()
        self.judgement.note(self.steps, self.scores.mean)
        score = self.scores.mean or 0.0
        if self._kept_revision != self.annotation.revision:
            self._best_score = score
        self._best_score = max(self._best_score, score)
        if score >= self._best_score - NOISE:
            self._keep(answer, mix)
        return self.scores

    def _answer_alone(self) -> tuple[MSDNet, None, Scores]:
        """The newest weights with the class shares in their outputs, and their scores."""
        assert self._learner is not None
        assert self.normalisation is not None
        answer = self._learner.answer(self._share_offsets(share_offsets))
        predictor = Predictor(answer, self.normalisation, self.outputs, self.classes)
        return answer, None, measure(predictor, self._question)

    def _answer_mixed(self) -> tuple[MSDNet, tuple[Ensemble, Ensemble], Scores]:
        """The newest weights, what is mixed with them, and the scores of both together."""
        assert self._learner is not None
        assert self.normalisation is not None
        assert self._mixing is not None
        classes = self.classes
        self._mixing.trees.update(classes)
        answer = self._learner.answer(np.zeros(len(self.outputs), np.float32))
        alone = Predictor(answer, self.normalisation, self.outputs, classes)
        answers = answers_of(alone, self._question)
        self._mixing.weigh(answers, alone.classes)
        images = self._sampler.everywhere(SHARE_PATCHES, self.normalisation)
        offsets = self._share_offsets(self._mixing.rule(images, classes))
        mix = self._mixing.ensembles(dict(zip(self.outputs, offsets.tolist(), strict=True)))
        return answer, mix, self._mixing.scores(answers, mix[1], classes, alone.classes)

    @property
    def _question(self) -> Question:
        return Question(self.slabs, self.annotation.classes, self._split, self.settings.patch_size)

    @property
    def unmeasured(self) -> dict[int, int]:
        """Pieces of each class that has too few of them for any to be held out."""
        return self._split.unmeasured

    # --- what was learned ---------------------------------------------------------------

    @property
    def learned(self) -> bool:
        """Whether there are weights worth predicting with."""
        return self._kept is not None and bool(self._kept_classes)

    @property
    def weights_shown(self) -> int:
        """A number that changes whenever `predictor` may answer differently."""
        return int(self.network_id or "0", 16)

    @property
    def network_id(self) -> str:
        """A short name of what `predictor` answers with; empty before there is anything.

        The same network opened again has the same name, as long as the same of its classes
        are painted.
        """
        if self._kept is None:
            return ""
        made_of = self._kept, self.kept_steps, self.normalisation, self._active, self._kept_mix
        if self._network_id[0] != made_of:
            self._network_id = (
                made_of,
                digest_of(
                    self._kept, self.normalisation, self.outputs, self._active, self._mix_shown
                ),
            )
        return self._network_id[1]

    @property
    def _active(self) -> tuple[int, ...]:
        """Classes to predict: known to the kept weights and still painted.

        Without any strokes (a model that was just loaded) all that it knows.
        """
        known = tuple(v for v in self.outputs if v in self._kept_classes)
        return tuple(v for v in known if v in self.classes) or known

    def predictor(self) -> Predictor:
        """The kept weights, for the classes that they know and that are still painted."""
        assert self._kept is not None
        assert self.normalisation is not None
        return Predictor(
            self._kept, self.normalisation, self.outputs, self._active, self._mix_shown
        )

    @property
    def _mix_shown(self) -> Ensemble | None:
        return self._kept_mix[0] if self._kept_mix is not None else None

    @property
    def temperature(self) -> float:
        """What makes the kept weights as sure as they are right; found when it is asked for."""
        if self._temperature is None or self._temperature[0] != self.weights_shown:
            assert self._kept is not None
            assert self.normalisation is not None
            # not with trees that have seen the strokes that are measured on
            mix = self._kept_mix[1] if self._kept_mix is not None else None
            predictor = Predictor(self._kept, self.normalisation, self.outputs, self._active, mix)
            found = temperature_of(predictor, self._question)
            self._temperature = self.weights_shown, found
        return self._temperature[1]

    def score_of(self, model: ModelRecord) -> float | None:
        """Mean IoU of another model on the strokes that are held out now; None if there are none.

        A model's own trees may have seen these strokes: its network is measured beside trees that
        have not.

        Raises
        ------
        ModelFileError
            If it was made for another number of channels.
        """
        model.require_channels(self.n_channels)
        network = network_of(model, self._backend).to(self._device)
        classes = [info.value for info in model.classes]
        active = [value for value in classes if value in self.classes]
        if not active:
            return None
        fixed = Normalisation(model.mean, model.std)
        normalisation = EachPlane() if model.normalise == "plane" else fixed
        mix = None
        if model.trees is not None:
            mix = ensemble_of(
                model.trees, self.n_channels, normalisation, self._device, self._backend
            )
            if self._mixing is not None and not self.needs() and not self.missing():
                self._mixing.trees.update(self.classes)
                assert self._mixing.trees.measuring is not None
                offsets = dict(zip(mix.trees.values, mix.offsets, strict=True))
                mix = self._mixing.ensembles(offsets)[1]
        predictor = Predictor(network, normalisation, classes, active, mix)
        return measure(predictor, self._question).mean

    def record(self) -> ModelRecord:
        """The kept weights as a model."""
        from napari_msd.training.record import record_of

        assert self._kept is not None
        assert self.normalisation is not None
        return record_of(
            self._kept,
            self.outputs,
            self.normalisation,
            self.settings,
            steps=self.kept_steps,
            scores=self.kept_scores,
            ensemble=self._mix_shown,
        )

    @property
    def backend(self) -> tuple[str, str]:
        """Name of the backend in use and the sentence why; empty before the first step."""
        network = self._learner.network if self._learner is not None else None
        if network is None or network.backend_in_use is None:
            return "", ""
        return network.backend_in_use, network.backend_reason or ""

    # --- inside --------------------------------------------------------------------------

    def _make_room_for_classes(self) -> None:
        new = [value for value in self.classes if value not in self.outputs]
        learner = self._learner
        if learner is not None and not new:
            return
        self.outputs = self.outputs + new
        if learner is None:
            fresh = fresh_network(self.settings, self.n_channels, len(self.outputs), self._backend)
            if self.settings.pretrained:
                start_from_shipped(fresh)
            learner = self._adopt(fresh.to(self._device))
        else:
            assert self._kept is not None
            self._kept = with_outputs(self._kept, len(self.outputs))
            learner.grow(len(self.outputs))
        if self.settings.pretrained:
            assert self.normalisation is not None
            batch = self._sampler.draw(READOUT_PATCHES, self.classes, self.normalisation)
            learner.fit_outputs(batch, self._outputs_of(self.classes), self._outputs_of(new))

    def _begin_on_a_model(self) -> None:
        """Before the first step on from a model: take the class shares out of its outputs.

        They are put into every answer anew. If the model knows all classes its score on these
        strokes is noted first, so that only what does better takes its place.
        """
        assert self._learner is not None
        assert self.normalisation is not None
        if self._baked_damping > 0:
            images = self._sampler.everywhere(SHARE_PATCHES, self.normalisation)
            everything = list(range(len(self.outputs)))
            baked = self._learner.offsets(images, everything, self._baked_damping, damped_offsets)
            self._learner.shift_outputs(-baked)
            self._baked_damping = 0.0
        if set(self.classes) <= self._kept_classes:
            self.measure()

    def _share_offsets(self, rule: OffsetRule) -> npt.NDArray[np.float32]:
        assert self._learner is not None
        assert self.normalisation is not None
        images = self._sampler.everywhere(SHARE_PATCHES, self.normalisation)
        active = self._outputs_of(self.classes)
        return self._learner.offsets(images, active, self.settings.share_damping, rule)

    @property
    def _has_new_strokes_to_show(self) -> bool:
        """Whether trees would answer a new stroke now, and not only after the next measuring."""
        if self._mixing is None or self.steps - self.measured_steps < REGROW_EVERY:
            return False
        return self._mixing.trees.due

    def _open_trees(self) -> None:
        """Take over the trees of the model that was started from, once slabs can be normalised."""
        if self._unopened is None or self.normalisation is None:
            return
        mix = ensemble_of(
            self._unopened, self.n_channels, self.normalisation, self._device, self._backend
        )
        self._kept_mix, self._unopened = (mix, mix), None
        self._mix_trees(mix.trees.features, mix.trees)

    def _mix_trees(self, features: PixelFeatures, earlier: Trees | None) -> None:
        self._mixing = Mixing(
            self.slabs, self.annotation, self._split, features, self.settings.seed, earlier
        )

    def _outputs_of(self, values: list[int]) -> list[int]:
        return [self.outputs.index(value) for value in values]

    def _adopt(self, network: MSDNet) -> Learner:
        """Train `network` from here on; a copy of it is what is kept."""
        self._learner = Learner(network, self.settings)
        self._kept = with_outputs(network, network.n_classes)
        return self._learner

    def _keep(self, answer: MSDNet, mix: tuple[Ensemble, Ensemble] | None) -> None:
        self._kept, self._kept_mix = answer, mix
        self.kept_scores = self.scores
        self.kept_steps = self.steps
        self.kept_amount = self._split.amount
        self._kept_classes = set(self.classes)
        self._kept_revision = self.annotation.revision
