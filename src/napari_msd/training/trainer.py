"""A network learning from strokes that may change between any two steps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch

from napari_msd.core.box import Box, SourceId
from napari_msd.core.errors import StrokesError
from napari_msd.core.settings import Settings
from napari_msd.core.space import NetworkInput, Space
from napari_msd.document import Amount
from napari_msd.images.model_file import ModelRecord, TreesRecord
from napari_msd.inference import AnyNormalisation, EachPlane, Normalisation, Predictor
from napari_msd.inference.ensemble import Trees
from napari_msd.inference.features import PixelFeatures
from napari_msd.inference.normalisation import Pixels
from napari_msd.native import take_sentences
from napari_msd.native.device import choose_device
from napari_msd.network import MSDNet
from napari_msd.network.trial import try_core
from napari_msd.training.bank import ensemble_of, shipped_bank
from napari_msd.training.batch_limit import BatchLimit
from napari_msd.training.early_stopping import EarlyStopping
from napari_msd.training.kept_network import KeptNetwork
from napari_msd.training.learner import Learner
from napari_msd.training.mixing import Mixing
from napari_msd.training.model_score import normalisation_of, require_input, score_of
from napari_msd.training.networks import fresh_network, network_of, with_outputs
from napari_msd.training.newest import Newest, newest_alone, newest_mixed
from napari_msd.training.prior_correction import OffsetRule, damped_offsets
from napari_msd.training.scores import Scores
from napari_msd.training.start_weights import start_from_shipped
from napari_msd.training.training_data import TrainingData

MEASURE_EVERY = 20
FIRST_MEASURED = (5, 10)
"""Steps between two looks at the held-out strokes, and the first two, so that even a
slow network has something to show at once."""

REGROW_EVERY = 4
"""Steps between two growths of the trees while a stroke is being painted."""

READOUT_PATCHES = 32
"""Patches that the first read-out is fitted to, before any step."""


class Trainer:
    """Learns from the strokes it is given, and keeps weights that are as good as any seen.

    Give it pixels and annotation in any order and at any time, then call `step` as
    often as you like; `predictor` answers with the kept weights at any moment.

    Parameters
    ----------
    settings
        Network, training and device.
    given
        What the network is given of every source.
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
        If `start` was made for another number of channels, or another mode.
    """

    def __init__(
        self,
        settings: Settings,
        given: NetworkInput,
        start: ModelRecord | None = None,
        *,
        fit_normalisation: bool = False,
    ) -> None:
        if start is not None:
            require_input(start, given)
            given = given._replace(anisotropy=start.anisotropy)  # its filters are made for that
        self.settings = settings
        self.data = TrainingData(settings, given)
        self.kept = KeptNetwork(self.data)
        self.annotation = self.data.annotation
        self.slabs = self.data.slabs
        self.steps = 0
        self.loss: float | None = None
        self.scores = Scores()
        """Of the newest weights; `kept_scores` of those that are shown."""
        self.measured_steps = -1
        self.early_stopping = EarlyStopping()
        self.annotation.follow(self._on_annotation)
        self._device, self._backend = choose_device(settings.device)
        if self._backend == "auto" and not try_core(self._device):
            # without a core another device may be the fastest
            self._device, self._backend = choose_device(settings.device)
        self._learner: Learner | None = None
        self._mixing: Mixing | None = None
        self.limit = BatchLimit(settings.patches_per_step, settings.patch_size)
        """What fits the memory when it learns."""
        self._unopened: TreesRecord | None = None
        self._baked_damping = 0.0
        """Of the class shares that are still in the outputs of a model that was started from."""
        if start is not None:
            self._start_from(start, fit_normalisation)
        if settings.trees and self.data.reach.reads is None:
            self.data.reach.reads = self._new_features(EachPlane()).reads_at

    # --- what there is to learn from ---------------------------------------------------

    def add_source(self, source: SourceId, space: Space) -> None:
        """A source has these axes; the pixels of its slabs may come in blocks."""
        self.data.add_source(source, space)

    def set_pixels(self, box: Box, pixels: npt.NDArray[np.generic]) -> None:
        """Take in pixels; parameters and errors as `TrainingData.set_pixels`."""
        self.data.set_pixels(box, pixels)
        self._open_trees()

    def leave_out(self, box: Box) -> None:
        """A block of a large slab cannot be read: do without it where strokes do not need it."""
        self.data.leave_out(box)

    def keep_only(self, boxes: Iterable[Box]) -> None:
        """Forget the pixels that neither strokes nor these boxes need; the annotation stays."""
        self.data.keep_only(boxes)

    def paint(self, box: Box, values: npt.NDArray[np.uint8]) -> None:
        """Painted values of `box` are now `values`: uint8 of its shape, 0 = unpainted."""
        self.annotation.write(box, values)

    def forget(self) -> None:
        """Forget all pixels and all annotation; what was learned stays."""
        self.data.forget()

    def missing(self) -> list[Box]:
        """Slabs and blocks that strokes need and whose pixels are not here yet."""
        return self.data.missing()

    @property
    def classes(self) -> list[int]:
        """Class values painted anywhere that can be trained on, ascending."""
        return self.data.classes

    def needs(self) -> str:
        """What the person should do before training can start; empty if nothing."""
        return self.data.needs()

    @property
    def normalisation(self) -> AnyNormalisation | None:
        """What is done to pixels first; None where the first slab has to decide."""
        return self.data.normalisation

    @property
    def known_grey_values(self) -> Normalisation | None:
        """What all images are normalised by; None where that is not decided, or is by slab."""
        known = self.data.normalisation
        return known if isinstance(known, Normalisation) else None

    @property
    def unmeasured(self) -> dict[int, int]:
        """Pieces of each class that has too few of them for any to be held out."""
        return self.data.split.unmeasured

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
        if self._learner is not None and self.kept.revision < 0:
            self._begin_on_a_model()
        fresh = self._learner is None
        if self._mixing is None and self.settings.trees:
            assert self.normalisation is not None
            self._mix_trees(self._new_features(self.normalisation), None)
        learner = self._with_room_for_classes()
        if fresh and self.settings.pretrained:
            self.measure()  # trees and read-out are worth showing at once
        elif self._has_new_strokes_to_show:
            self.measure()
        outputs = self._outputs_of(self.classes)
        self.loss = self.limit.attempt(
            lambda: learner.learn(self.data.draw(self.limit.patches), outputs),
            self._spare_memory,
        )
        self.steps += 1
        if self.steps % MEASURE_EVERY == 0 or self.steps in FIRST_MEASURED:
            self.measure()
        return self.loss

    def measure(self) -> Scores:
        """Score the newest weights on held-out strokes, and keep them unless they are worse."""
        self.measured_steps = self.steps
        newest = self.limit.attempt(self._newest, self._spare_memory)
        self.scores = newest.scores
        self.early_stopping.note(self.steps, self.scores.mean)
        self.kept.offer(newest.network, newest.mix, self.steps, self.scores)
        return self.scores

    def _newest(self) -> Newest:
        assert self._learner is not None
        given = self._learner, self.data, self.outputs, self._share_offsets
        return newest_mixed(*given, self._mixing) if self._mixing else newest_alone(*given)

    # --- what was learned ---------------------------------------------------------------

    @property
    def outputs(self) -> list[int]:
        """Class value of each output of the network; outputs are added, never removed."""
        return self.kept.outputs

    @property
    def learned(self) -> bool:
        """Whether there are weights worth predicting with."""
        return self.kept.learned

    @property
    def kept_steps(self) -> int:
        """Steps after which the kept weights were learned."""
        return self.kept.steps

    @property
    def kept_scores(self) -> Scores:
        """Of the kept weights."""
        return self.kept.scores

    @property
    def kept_amount(self) -> Amount:
        """How much was painted when the kept weights were learned."""
        return self.kept.amount

    @property
    def network_id(self) -> str:
        """A short name of what `predictor` answers with, see `KeptNetwork.name`."""
        return self.kept.name

    @property
    def weights_shown(self) -> int:
        """A number that changes whenever `predictor` may answer differently."""
        return int(self.kept.name or "0", 16)

    def predictor(self) -> Predictor:
        """The kept weights, for the classes that they know and that are still painted."""
        return self.kept.predictor()

    @property
    def temperature(self) -> float:
        """What makes the kept weights as sure as they are right; found when it is asked for."""
        return self.kept.temperature

    def take_remark(self) -> str:
        """What is done otherwise since the last call, as a sentence.

        In smaller parts for want of memory, or without a compiled core that failed.
        """
        told = [self.limit.take_remark(), self.kept.tiles.take_remark(), *take_sentences()]
        return " ".join(filter(None, told))

    def record(self) -> ModelRecord:
        """The kept weights as a model."""
        return self.kept.record(self.settings)

    def score_of(self, model: ModelRecord) -> float | None:
        """Mean IoU of another model on the strokes that are held out now; None if there are none.

        A model's own trees may have seen these strokes: its network is measured beside trees that
        have not.

        Raises
        ------
        ModelFileError
            If it was made for another number of channels, or another mode.
        """
        trees = None
        if self._mixing is not None and not self.needs() and not self.missing():
            self._mixing.trees.update(self.classes)
            trees = self._mixing
        return score_of(model, self.data, trees, self._device, self._backend)

    @property
    def backend(self) -> tuple[str, str]:
        """Name of the backend in use and the sentence why; empty before the first step."""
        network = self._learner.network if self._learner is not None else None
        if network is None or network.backend_in_use is None:
            return "", ""
        return network.backend_in_use, network.backend_reason or ""

    # --- inside --------------------------------------------------------------------------

    def _start_from(self, model: ModelRecord, fit_normalisation: bool) -> None:
        """Have a model's weights, and its trees as soon as slabs can be normalised."""
        if model.normalise == "plane" or not fit_normalisation:
            self.data.normalisation = normalisation_of(model)
        else:
            self.data.normalisation = None
        self.kept.outputs = [info.value for info in model.classes]
        self._adopt(network_of(model, self._backend).to(self._device))
        if model.trees is not None:
            self._unopened = model.trees
            self._open_trees()
        else:
            self._baked_damping = float(model.settings.get("share_damping", 0.0))
        self.kept.classes = set(self.outputs)
        self.steps = self.kept.steps = model.steps
        self.kept.scores = Scores(dict(model.scores))

    def _with_room_for_classes(self) -> Learner:
        """The learner, with an output for every class that is painted."""
        new = [value for value in self.classes if value not in self.outputs]
        learner = self._learner
        if learner is not None and not new:
            return learner
        self.kept.grow(self.outputs + new)
        if learner is None:
            given = self.data.given
            fresh = fresh_network(self.settings, given, len(self.outputs), self._backend)
            if self.settings.pretrained:
                start_from_shipped(fresh, given.context)
            learner = self._adopt(fresh.to(self._device))
        else:
            learner.grow(len(self.outputs))
        if self.settings.pretrained:
            self.limit.attempt(lambda: self._fit_outputs(learner, new), self._spare_memory)
        return learner

    def _fit_outputs(self, learner: Learner, new: list[int]) -> None:
        batch = self.data.draw(self.limit.share_of(READOUT_PATCHES))
        learner.fit_outputs(batch, self._outputs_of(self.classes), self._outputs_of(new))

    def _spare_memory(self) -> None:
        """Before another attempt: patches as small as the limit says, nothing kept for speed."""
        self.data.reach.side = self.limit.side
        if self._learner is not None:
            self._learner.spare_memory()
        if self._mixing is not None:
            self._mixing.spare_memory()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _on_annotation(self, changed: Box) -> None:
        self.early_stopping.strokes_changed(self.steps)

    def _begin_on_a_model(self) -> None:
        """Before the first step on from a model: take the class shares out of its outputs.

        They are put into every answer anew. If the model knows all classes its score on these
        strokes is noted first, so that only what does better takes its place.
        """
        assert self._learner is not None
        if self._baked_damping > 0:
            images = self.data.everywhere()
            everything = list(range(len(self.outputs)))
            baked = self._learner.offsets(images, everything, self._baked_damping, damped_offsets)
            self._learner.shift_outputs(-baked)
            self._baked_damping = 0.0
        if set(self.classes) <= self.kept.classes:
            self.measure()

    def _share_offsets(self, images: Pixels, rule: OffsetRule) -> npt.NDArray[np.float32]:
        assert self._learner is not None
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
            self._unopened, self.data.given, self.normalisation, self._device, self._backend
        )
        self.kept.mix, self._unopened = (mix, mix), None
        self._mix_trees(mix.trees.features, mix.trees)

    def _new_features(self, normalisation: AnyNormalisation) -> PixelFeatures:
        given = self.data.given
        bank = shipped_bank(self._backend).to(self._device) if given.convolved == 2 else None
        return PixelFeatures(bank, normalisation, given)

    def _mix_trees(self, features: PixelFeatures, earlier: Trees | None) -> None:
        data = self.data
        data.reach.reads = features.reads_at
        self._mixing = Mixing(
            data.slabs, data.annotation, data.split, features, self.settings.seed, earlier
        )

    def _outputs_of(self, values: list[int]) -> list[int]:
        return [self.outputs.index(value) for value in values]

    def _adopt(self, network: MSDNet) -> Learner:
        """Train `network` from here on; a copy of it is what is kept."""
        self._learner = Learner(network, self.settings)
        self.kept.network = with_outputs(network, network.n_classes)
        return self._learner
