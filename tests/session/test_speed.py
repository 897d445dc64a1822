"""The speed shown does not jump with every figure."""

import pytest

from napari_msd.session.speed import Speed
from napari_msd.trainer.messages import Progress


def heard(*figures):
    speed = Speed()
    for figure in figures:
        speed.hear(Progress("training", steps_per_second=figure))
    return speed.steps_per_second


def test_the_first_figure_counts_alone():
    assert heard(40.0) == 40.0


def test_one_slow_figure_hardly_counts():
    assert heard(40.0, 40.0, 2.0) == pytest.approx(40 - 0.15 * 38)
    assert heard(40.0, 0.0) == 40.0


def test_a_lasting_change_is_followed():
    assert heard(40.0, *[10.0] * 30) == pytest.approx(10, abs=0.5)


def test_while_nothing_trains_there_is_none():
    speed = Speed()
    speed.hear(Progress("training", steps_per_second=40.0))
    speed.hear(Progress("idle", step=9))
    assert speed.steps_per_second is None
