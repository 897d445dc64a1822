"""Earlier versions of a network, so that what was better can be gone back to.

The viewer's side keeps them: they outlive the trainer. Going back takes nothing away,
so going back can itself be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from napari_msd.core.checkpoint import VersionFigures

CLEAR_GAIN = 0.02
"""A score (mean IoU, 0..1) better by this much makes a version of its own."""

MOST = 20
"""More versions are thinned out."""


@dataclass(frozen=True)
class Version:
    """Weights that were worth keeping.

    Parameters
    ----------
    model
        Bytes of the model file.
    figures
        What is told of it.
    source
        Where the weights come from, in words ("membrane", "mito.safetensors").
    lineage
        Figures of the versions that these weights were trained on from, oldest first.
    """

    model: bytes
    figures: VersionFigures
    source: str = ""
    lineage: tuple[VersionFigures, ...] = ()


class History:
    """The versions of one kind of network, oldest first; one of them is `present`."""

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.present: Version | None = None
        self._closed = True
        self._first_score: float | None = None

    @classmethod
    def restored(cls, versions: Iterable[Version], present: Version | None) -> History:
        """A history as it was kept in a file: newer weights make a version of their own.

        Raises
        ------
        ValueError
            If `present` is not among `versions`.
        """
        history = cls()
        history.versions = list(versions)
        if present is not None:
            history.go_back(present)
        return history

    def __eq__(self, other: object) -> bool:
        """Whether the same versions were kept, and the same one is present."""
        if not isinstance(other, History):
            return NotImplemented
        return (self.versions, self.present) == (other.versions, other.present)

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def past(self) -> tuple[VersionFigures, ...]:
        """Figures of how the present weights came about, their own last."""
        return () if self.present is None else (*self.present.lineage, self.present.figures)

    def add(self, model: bytes, figures: VersionFigures, source: str) -> None:
        """Newer weights came, trained on from the present ones.

        They take the present version's place, unless the strokes have changed since, the score
        has clearly improved, or the present version was gone back to.
        """
        present = self.present
        if present is None or self._new(present.figures, figures):
            lineage = () if present is None else (*present.lineage, present.figures)
            self._append(Version(model, figures, source, _thinned(lineage)))
        else:
            version = replace(present, model=model, figures=figures)
            self.versions[self._index(present)] = self.present = version

    def begin(
        self,
        model: bytes,
        figures: VersionFigures,
        source: str,
        lineage: tuple[VersionFigures, ...] = (),
    ) -> None:
        """Weights from elsewhere (a model file) are the present ones now."""
        self._append(Version(model, figures, source, _thinned(lineage)))
        self._closed = True  # what was loaded stays as it was

    def start_over(self) -> None:
        """The present weights are forgotten; the versions stay."""
        self.present = None

    def go_back(self, version: Version) -> None:
        """`version`, one of `versions`, is the present one; it stays as it is."""
        self._index(version)  # raises for another history's
        self.present = version
        self._closed = True

    def resume(self, model: bytes) -> None:
        """Weights are back; if they are a version's, that is the present one."""
        version = next((v for v in reversed(self.versions) if v.model == model), None)
        if version is not None:
            self.go_back(version)

    def _new(self, before: VersionFigures, now: VersionFigures) -> bool:
        if self._closed or (before.pieces, before.painted) != (now.pieces, now.painted):
            return True
        if now.score is None or self._first_score is None:
            return False
        return now.score >= self._first_score + CLEAR_GAIN

    def _append(self, version: Version) -> None:
        self.versions.append(version)
        self.present = version
        self._closed = False
        self._first_score = version.figures.score
        if len(self.versions) > MOST:
            figures = [v.figures for v in self.versions]
            del self.versions[_least_missed(figures)]

    def _index(self, version: Version) -> int:
        for i, known in enumerate(self.versions):
            if known is version:
                return i
        raise ValueError("this version is of another history")


def _thinned(figures: tuple[VersionFigures, ...]) -> tuple[VersionFigures, ...]:
    kept = list(figures)
    while len(kept) > MOST:
        del kept[_least_missed(kept)]
    return tuple(kept)


def _least_missed(figures: list[VersionFigures]) -> int:
    """Index of the version most like the one before it; never the first, the best or the last."""
    best = max(range(len(figures)), key=lambda i: figures[i].score or 0.0)
    between = [i for i in range(1, len(figures) - 1) if i != best]

    def novelty(i: int) -> tuple[float, int]:
        before, here = figures[i - 1], figures[i]
        return abs((here.score or 0.0) - (before.score or 0.0)), i

    return min(between, key=novelty)
