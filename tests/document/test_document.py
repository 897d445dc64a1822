"""A document is what its operations say, however often they are told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Document, MemoryJournal, document_of, requests_of
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    DefineClass,
    MergeClasses,
    PaintBox,
    RemoveClass,
    RenameClass,
)

SPACES = [Space("YX", (70, 90)), Space("ZYX", (3, 20, 80))]
VALUES = st.integers(1, 4)


def bound() -> list[BindSource]:
    return [BindSource(source, space, f"image {source}") for source, space in enumerate(SPACES)]


def paint(source: int, start: tuple, stop: tuple, value: int) -> PaintBox:
    box = Box(source, start, stop)
    return PaintBox(box, np.full(box.shape, value, np.uint8))


@st.composite
def paints(draw):
    source = draw(st.sampled_from([0, 1]))
    shape = SPACES[source].shape
    ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    start, stop = (tuple(end[i] for end in ends) for i in (0, 1))
    return paint(source, start, stop, draw(st.integers(0, 4)))


operations = st.one_of(
    paints(),
    st.builds(lambda v, n: DefineClass(ClassInfo(v, n, "#123456")), VALUES, st.text(max_size=3)),
    st.builds(RenameClass, VALUES, st.text(max_size=3)),
    st.builds(MergeClasses, st.integers(1, 2), st.integers(3, 4)),
    st.builds(RemoveClass, VALUES),
    st.sampled_from(["quick", "balanced"]).map(
        lambda preset: ChooseSettings(Settings.from_preset(preset))
    ),
)


def done(document: Document, operation) -> bool:
    """Whether the operation made sense to the document, which then carried it out."""
    before = document.journal.last
    try:
        document.do(operation)
    except ValueError:
        assert document.journal.last == before == document.number
        return False
    assert document.journal.last == before + 1 == document.number
    return True


@settings(deadline=None)
@given(st.lists(operations, max_size=15))
def test_replay_gives_an_equal_document(changes):
    document, twin = document_of(bound()), document_of(bound())
    arrays = [np.zeros(space.shape, np.uint8) for space in SPACES]
    for operation in changes:
        before = dict(document.classes)
        if not done(document, operation):
            continue
        twin.do(operation)
        match operation:
            case PaintBox(box, values):
                arrays[box.source][box.slices] = values
            case MergeClasses(value, into):
                assert value in before
                for array in arrays:
                    array[array == value] = into
            case RemoveClass(value):
                for array in arrays:
                    array[array == value] = 0
    for source, array in enumerate(arrays):
        whole = SPACES[source].whole(source)
        assert np.array_equal(document.annotation.read(whole), array)
    assert set(document.annotation.classes) <= document.classes.keys()
    assert Document(document.journal) == document == twin


@settings(deadline=None)
@given(st.lists(operations, max_size=15))
def test_the_fewest_requests_bring_another_to_the_same(changes):
    document = document_of(bound())
    for operation in changes:
        done(document, operation)
    other = document_of(requests_of(document))
    assert other.sources == document.sources
    assert other.annotation == document.annotation
    assert other.classes == document.classes
    assert other.settings == document.settings


def test_a_difference_anywhere_is_a_difference():
    base = [*bound(), paint(0, (0, 0), (2, 2), 1)]
    for more in (
        paint(0, (5, 5), (6, 6), 1),
        DefineClass(ClassInfo(1, "nucleus", "#000000")),
        ChooseSettings(Settings.from_preset("balanced")),
        BindSource(0, SPACES[0], "moved.tif"),
    ):
        assert document_of([*base, more]) != document_of(base)


def test_a_journal_is_replayed_from_any_number():
    journal = MemoryJournal()
    for operation in bound():
        journal.append(operation)
    assert [entry.number for entry in journal.replay()] == [1, 2]
    (entry,) = journal.replay(after=1)
    assert (entry.number, entry.operation) == (2, bound()[1])
    assert list(journal.replay(after=2)) == []
    with pytest.raises(ValueError, match="numbered from 1"):
        next(journal.replay(after=-1))


def test_what_is_painted_stays_as_it_was_when_it_was_painted():
    values = np.ones((2, 2), np.uint8)
    operation = PaintBox(Box(0, (0, 0), (2, 2)), values)
    values[:] = 7
    assert operation == paint(0, (0, 0), (2, 2), 1)
    assert operation != paint(0, (0, 0), (2, 2), 7)
    assert operation != paint(1, (0, 0), (2, 2), 1)


def test_painting_a_new_class_defines_it():
    document = document_of([*bound(), paint(0, (0, 0), (2, 2), 3)])
    assert document.classes[3].name == "class 3"


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (paint(7, (0, 0), (1, 1), 1), "no source 7"),
        (paint(0, (69, 0), (71, 1), 1), "beyond its source"),
        (BindSource(0, Space("YX", (70, 91))), "another shape"),
        (BindSource(2, Space("ZYX", (9, 9, 9), convolved=3)), "not convolved over"),
        (RenameClass(9, "x"), "no class 9"),
        (RemoveClass(9), "no class 9"),
        (MergeClasses(9, 1), "no class 9"),
    ],
)
def test_what_makes_no_sense_changes_nothing(operation, sentence):
    document = document_of(bound())
    with pytest.raises(ValueError, match=sentence):
        document.do(operation)
    assert document == document_of(bound())
    assert document.journal.last == 2


def test_operations_that_contradict_themselves_cannot_be_made():
    box = Box(0, (0, 0), (2, 2))
    with pytest.raises(ValueError, match="uint8 values of its shape"):
        PaintBox(box, np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8 values of its shape"):
        PaintBox(box, np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match="itself"):
        MergeClasses(2, 2)
    with pytest.raises(ValueError, match="from 1 to 255"):
        DefineClass(ClassInfo(0, "nothing", "#000000"))
