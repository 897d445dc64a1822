"""Model files with lies of every kind: our own exception with one sentence, or a model."""

import pytest
from faults.hostile_files import hostile_model, refused_well
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_msd.images.model_file import ModelRecord, read

from .test_model_file import make_record
from .test_model_trees import make_record as make_record_with_trees

GOOD = [make_record().to_bytes(), make_record_with_trees().to_bytes()]


@pytest.mark.parametrize("good", GOOD, ids=["alone", "with trees"])
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=400)
def test_lies_are_refused_in_one_sentence(good, random):
    data = hostile_model(good, random)
    assert refused_well(lambda: ModelRecord.from_bytes(data)) == ""


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_and_so_they_are_when_they_come_from_a_file(tmp_path_factory, random):
    path = tmp_path_factory.mktemp("hostile") / "model.safetensors"
    path.write_bytes(hostile_model(GOOD[random.randrange(2)], random))
    assert refused_well(lambda: read(path)) == ""


def test_what_is_no_sentence_of_ours_is_noticed():
    def fails(error):
        raise error

    from napari_msd.core.errors import ModelFileError

    assert refused_well(lambda: fails(KeyError("x"))) == "KeyError: 'x'"
    assert "more than one line" in refused_well(lambda: fails(ModelFileError("a\nb")))
    assert "characters" in refused_well(lambda: fails(ModelFileError("a" * 10_000)))
    assert refused_well(lambda: fails(ModelFileError("It is damaged."))) == ""
