"""The pictures that the starting weights are learned from."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from pretrain_tasks import LAYOUTS, LOOKS, SIDE, corrections, families, synthetic, task
from pretrain_tasks.layouts import branches
from pretrain_tasks.looks import statistics
from pretrain_tasks.real import FAMILIES, NUCLEI
from pretrain_tasks.responses import PER_SIGMA, SIGMAS, responses
from pretrain_tasks.strokes import first_strokes
from scipy.ndimage import distance_transform_edt


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_yields_the_classes_it_says(layout):
    for seed in range(4):
        _, truth = synthetic(np.random.default_rng(seed), layout=layout, look="grey")
        found = np.unique(truth)
        assert found.tolist() == list(range(1, len(found) + 1))
        assert 2 <= len(found) <= LAYOUTS[layout][1]


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_gives_a_finite_standardised_picture(look):
    for seed in range(4):
        image, truth = synthetic(np.random.default_rng(seed), layout="objects", look=look)
        assert image.shape == truth.shape == (SIDE, SIDE)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert abs(image.mean()) < 1e-3
        assert abs(image.std() - 1) < 1e-3


def test_shares_add_up_to_one():
    assert sum(share for _, _, share in LAYOUTS.values()) == pytest.approx(1)
    assert sum(share for _, share in LOOKS.values()) == pytest.approx(1)


def test_a_seed_decides_a_task():
    first, again, other = (task(np.random.default_rng(seed), []) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.truth, again.truth)
    np.testing.assert_array_equal(first.strokes, again.strokes)
    assert not np.array_equal(first.image, other.image)


def test_rare_classes_are_about_a_hundredth():
    shares = []
    for seed in range(12):
        _, truth = synthetic(np.random.default_rng(seed), layout="rare", look="grey")
        shares.append((truth == truth.max()).mean())
    assert 0.003 < np.median(shares) < 0.04


def test_branches_are_thin():
    for seed in range(6):
        lines = branches(np.random.default_rng(seed)).classes == 1
        deep = distance_transform_edt(lines)[lines]
        assert np.quantile(deep, 0.9) <= 3.5  # half of 6 px; where lines meet it may be more


def test_textures_of_equal_statistics_have_equal_mean_and_variance():
    random = np.random.default_rng(0)
    differences, ratios = [], []
    for _ in range(12):
        layout = LAYOUTS["regions"][0](random)
        picture = statistics(random, layout)
        parts = [picture[layout.classes == c] for c in range(2)]
        if min(part.size for part in parts) > SIDE**2 // 8:
            differences.append(parts[0].mean() - parts[1].mean())
            ratios.append(np.log(parts[0].std() / parts[1].std()))
    assert len(differences) >= 4
    assert abs(np.median(differences)) < 0.2
    assert abs(np.median(ratios)) < 0.3


def test_strokes_tell_the_truth_of_every_class():
    random = np.random.default_rng(1)
    _, truth = synthetic(random, layout="regions")
    truth[:20] = 0
    strokes = first_strokes(random, truth, 0.02)
    painted = strokes > 0
    np.testing.assert_array_equal(strokes[painted], truth[painted])
    assert set(np.unique(truth)) == set(np.unique(strokes))
    assert not painted[:20].any()


def test_corrections_lie_where_the_answer_is_wrong_and_known():
    truth = np.zeros((60, 60), np.int64)
    truth[:, 30:] = 1
    truth[:5] = -1
    found = np.zeros_like(truth)
    dabs = corrections(np.random.default_rng(0), truth, found)
    assert dabs.any()
    assert (truth[dabs] == 1).all()
    assert not corrections(np.random.default_rng(0), truth, truth).any()


def test_responses_are_standardised_and_finite():
    image, _ = synthetic(np.random.default_rng(2))
    found = responses(image).astype(np.float32)
    assert found.shape == (PER_SIGMA * len(SIGMAS), SIDE, SIDE)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.mean((1, 2)), 0, atol=0.01)


def test_real_images_are_cropped_with_their_classes(tmp_path):
    random = np.random.default_rng(0)
    for name in NUCLEI:
        instances = np.zeros((210, 220), np.uint16)
        instances[40:120, 30:100] = 1
        instances[130:200, 90:200] = 2
        tifffile.imwrite(tmp_path / f"{name}-a-instances.tif", instances)
        image = 100 * (instances > 0) + random.integers(0, 20, instances.shape)
        tifffile.imwrite(tmp_path / f"{name}-a-image.tif", image.astype(np.uint8))
    for name in FAMILIES:
        (tmp_path / name).mkdir()
        labels = np.ones((200, 230), np.uint8)
        labels[60:130] = 2
        labels[150:] = 0
        tifffile.imwrite(tmp_path / name / "00-labels.tif", labels)
        image = random.integers(0, 255, (*labels.shape, 3)).astype(np.uint8)
        tifffile.imwrite(tmp_path / name / "00-image.tif", image, photometric="rgb")
    known = families(tmp_path, tmp_path)
    assert len(known) == 1 + len(FAMILIES)
    for seed in range(8):
        made = task(np.random.default_rng(seed), known, real=1)
        assert made.image.shape == (SIDE, SIDE)
        assert np.isfinite(made.image).all()
        assert len(set(np.unique(made.truth)) - {0}) in (2, 3)


def test_a_missing_family_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=FAMILIES[0]):
        families(None, tmp_path)
