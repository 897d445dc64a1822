"""Versions worth keeping are kept, thinned, and can be gone back to, and back again."""

import pytest

from napari_msd.core.checkpoint import VersionFigures
from napari_msd.document.checkpoints import MOST, History


def figures(steps, score, pieces=10):
    return VersionFigures(steps, score, pieces, 10 * pieces, 0, "2024-05-01T10:00:00+00:00")


def add(history, steps, score, pieces=10):
    history.add(f"weights {steps}".encode(), figures(steps, score, pieces), "cells")
    return history.present


def steps(history):
    return [version.figures.steps for version in history.versions]


def test_small_gains_take_the_place_of_the_version_before():
    history = History()
    for i, score in enumerate([0.800, 0.805, 0.812, 0.815]):
        add(history, 20 * i, score)
    assert steps(history) == [60]
    assert history.present.model == b"weights 60"


def test_a_clear_gain_makes_a_version_of_its_own_even_in_small_steps():
    history = History()
    for i in range(7):
        add(history, i, 0.8 + 0.005 * i)
    assert steps(history) == [3, 6]


def test_other_strokes_make_a_version_of_their_own_whatever_the_score():
    history = History()
    add(history, 20, 0.8)
    add(history, 40, 0.7, pieces=11)
    assert steps(history) == [20, 40]


def test_without_scores_only_strokes_count():
    history = History()
    for i in range(5):
        add(history, i, None)
    add(history, 9, None, pieces=12)
    assert steps(history) == [4, 9]


def test_going_back_takes_nothing_away_and_can_be_taken_back():
    history = History()
    old = add(history, 20, 0.9)
    late = add(history, 40, 0.7, pieces=20)
    history.go_back(old)
    assert history.present is old
    add(history, 60, 0.9)  # trained on from the old one, on the same strokes
    assert steps(history) == [20, 40, 60]
    assert history.versions[0] is old
    history.go_back(late)
    assert history.present is late
    assert steps(history) == [20, 40, 60]


def test_the_lineage_tells_what_weights_were_trained_on_from():
    history = History()
    old = add(history, 20, 0.5)
    add(history, 40, 0.7)
    history.go_back(old)
    add(history, 60, 0.8)
    assert [past.steps for past in history.present.lineage] == [20]
    history.start_over()
    assert add(history, 5, 0.2).lineage == ()


def test_a_loaded_model_brings_its_past_and_stays_as_it_was():
    history = History()
    past = (figures(10, 0.4), figures(20, 0.6))
    history.begin(b"loaded", figures(30, 0.8), "mito.safetensors", past)
    add(history, 50, 0.8)
    assert steps(history) == [30, 50]
    assert [v.steps for v in history.present.lineage] == [10, 20, 30]
    assert history.versions[0].model == b"loaded"


def test_versions_are_thinned_but_not_the_first_the_best_and_the_present():
    history = History()
    for i in range(60):
        add(history, i, 0.95 if i == 17 else (i % 10) / 20, pieces=i + 1)
    kept = steps(history)
    assert len(kept) == MOST
    assert kept == sorted(kept)
    assert {0, 17, 59} <= set(kept)
    assert len(history.present.lineage) == MOST
    assert history.present is history.versions[-1]


def test_a_version_of_another_history_is_not_gone_back_to():
    history, other = History(), History()
    add(history, 1, 0.5)
    stranger = add(other, 1, 0.5)
    with pytest.raises(ValueError, match="another history"):
        history.go_back(stranger)


def test_a_restored_history_goes_on_from_its_present_version():
    history = History()
    old, late = add(history, 20, 0.5), add(history, 60, 0.9)
    again = History.restored(history.versions, old)
    assert again.versions == [old, late]
    assert again.present is old
    add(again, 80, 0.5)
    assert steps(again) == [20, 60, 80]
    assert [v.steps for v in again.past] == [20, 80]


def test_the_present_version_is_one_of_the_restored():
    history = History()
    stranger = add(history, 20, 0.5)
    with pytest.raises(ValueError, match="another history"):
        History.restored([], stranger)
    assert History.restored([], None) == History()
