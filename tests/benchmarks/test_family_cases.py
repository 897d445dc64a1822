import numpy as np
import pytest
import tifffile
from _family_cases import centre_crop, crop_with_all_classes, family_cases

TUNING, REPORTING = "glass_fibre_ct", "hela_dic"


@pytest.fixture
def folder(tmp_path):
    """Two families with the images 00 to 04, and a folder that is no family."""
    for family in (TUNING, REPORTING, "holidays"):
        (tmp_path / family).mkdir()
        for number in range(5):
            image = np.full((20, 30), number, np.uint8)
            truth = np.where(np.arange(30) < 10, 0, 1 + np.arange(30) % 2) * np.ones((20, 1))
            tifffile.imwrite(tmp_path / family / f"{number:02d}-image.tif", image)
            tifffile.imwrite(tmp_path / family / f"{number:02d}-labels.tif", truth.astype("u1"))
    return tmp_path


def test_each_pair_is_painted_on_one_image_and_predicted_on_the_next(folder):
    found = list(family_cases([folder], ["tuning"], pairs=2))
    assert [case.name for case in found] == [f"{TUNING} 00", f"{TUNING} 02"]
    assert [(case.here[0].max(), case.there[0].max()) for case in found] == [(0, 1), (2, 3)]


def test_a_family_gives_no_more_pairs_than_it_has(folder):
    assert len(list(family_cases([folder], ["tuning"], pairs=9))) == 2


def test_only_families_of_the_halves_that_were_asked_for(folder):
    assert {c.family for c in family_cases([folder], ["reporting"], 1)} == {REPORTING}
    both = list(family_cases([folder], ["tuning", "reporting"], 1))
    assert [(c.family, c.half) for c in both] == [(TUNING, "tuning"), (REPORTING, "reporting")]


def test_a_family_that_is_found_twice_is_one(folder):
    folders = [folder, folder / TUNING]
    assert len(list(family_cases(folders, ["tuning"], 1))) == 1


def test_what_has_no_truth_stays_without(folder):
    (case,) = family_cases([folder], ["tuning"], 1)
    assert (case.here[1][:, :10] == 0).all()
    assert set(np.unique(case.here[1][:, 10:])) == {1, 2}


def test_the_crop_lies_in_the_middle_where_all_classes_are_there():
    truth = np.ones((100, 80), np.uint8)
    truth[40:60, 30:50] = 2
    assert crop_with_all_classes(truth, 40) == (slice(30, 70), slice(20, 60))


def test_the_crop_moves_no_further_than_to_the_missing_class():
    truth = np.ones((200, 200), np.uint8)
    truth[:20, :200] = 2
    rows, columns = crop_with_all_classes(truth, 100)
    assert np.bincount(truth[rows, columns].ravel())[2] >= 100
    assert columns == slice(50, 150)
    assert rows == slice(16, 116)  # one step of 16 further down it holds none


def test_a_class_that_does_not_exist_is_not_waited_for():
    truth = np.ones((100, 100), np.uint8)
    truth[50:] = 3
    assert crop_with_all_classes(truth, 60) == centre_crop((100, 100), 60)


def test_as_many_classes_as_possible_where_all_are_too_many():
    truth = np.ones((200, 200), np.uint8)
    truth[:30] = 2
    truth[-30:, :30] = 3
    truth[-30:, -30:] = 4
    held = np.unique(truth[crop_with_all_classes(truth, 60)])
    assert len(held) == 2


def test_no_truth_is_no_class_to_look_for():
    truth = np.ones((200, 200), np.uint8)
    truth[:20] = 0
    assert crop_with_all_classes(truth, 100) == centre_crop((200, 200), 100)


def test_small_images_are_not_cut():
    truth = np.ones((30, 700), np.uint8)
    assert truth[crop_with_all_classes(truth, 512)].shape == (30, 512)
    assert truth[centre_crop(truth.shape, 512)].shape == (30, 512)
