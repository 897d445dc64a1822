"""Work that gets too little of the processor is reported, work that waits is not."""

import pytest

from napari_msd.trainer.envelopes import NO_EPOCH, Stamp
from napari_msd.trainer.heartbeat import Outlet
from napari_msd.trainer.messages import Finished, Heartbeat, Notice, Progress, Ready
from napari_msd.trainer.starvation import Starvation


class Clocks:
    """Time that passes when a test says so."""

    def __init__(self):
        self.wall = self.cpu = 0.0
        self.starvation = Starvation(lambda: self.wall, lambda: self.cpu)

    def pass_by(self, seconds, share):
        self.wall += seconds
        self.cpu += seconds * share
        return self.starvation.look()


@pytest.fixture
def clocks():
    clocks = Clocks()
    clocks.starvation.working(True)
    return clocks


def test_less_than_a_tenth_of_a_core_is_starved(clocks):
    assert not clocks.pass_by(3, 1.0)
    assert not clocks.pass_by(3, 0.11)
    assert clocks.pass_by(3, 0.09)
    assert clocks.pass_by(1, 1.0)  # until it is known better
    assert not clocks.pass_by(2, 1.0)


def test_a_short_gap_is_not_starvation(clocks):
    assert not clocks.pass_by(2.9, 0.0)
    assert not clocks.pass_by(0.1, 5.0)


def test_waiting_is_not_starvation(clocks):
    clocks.starvation.working(False)
    assert not clocks.pass_by(60, 0.0)
    clocks.starvation.working(True)
    assert not clocks.pass_by(2, 0.0)


def test_what_was_starved_before_a_pause_is_forgotten(clocks):
    assert clocks.pass_by(5, 0.0)
    clocks.starvation.working(False)
    clocks.starvation.working(True)
    assert not clocks.starvation.look()


class TestOutlet:
    @pytest.fixture
    def sent(self):
        return []

    @pytest.fixture
    def outlet(self, clocks, sent):
        return Outlet(sent.append, clocks.starvation, session=5)

    def test_progress_says_it_while_training(self, clocks, outlet, sent):
        clocks.pass_by(4, 0.01)
        outlet.send(3, Progress("training", step=7))
        outlet.send(3, Progress("idle", step=7))
        assert [it.event.starved for it in sent] == [True, False]

    def test_a_loop_too_slow_to_say_so_is_spoken_for(self, clocks, outlet, sent):
        outlet.send(3, Progress("training", step=7))
        clocks.pass_by(4, 0.01)
        for _ in range(3):
            outlet.beat()
        reports = [it for it in sent if isinstance(it.event, Progress)]
        assert len(reports) >= 2
        assert reports[-1].event.starved
        assert (reports[-1].stamp.epoch, reports[-1].event.step) == (3, 7)

    def test_a_loop_that_speaks_is_not_spoken_for(self, clocks, outlet, sent):
        clocks.pass_by(4, 0.01)
        for step in range(5):
            outlet.send(3, Progress("training", step=step))
            outlet.beat()
        assert sum(isinstance(it.event, Progress) for it in sent) == 5

    def test_nothing_is_repeated_after_the_end(self, clocks, outlet, sent):
        outlet.send(3, Progress("training", step=7))
        clocks.pass_by(4, 0.01)
        outlet.send(3, Progress("idle", step=7))
        outlet.send(3, Finished("stop"))
        for _ in range(3):
            outlet.beat()
        others = [it.event for it in sent if not isinstance(it.event, Heartbeat)]
        assert others[2:] == [Finished("stop")]

    def test_heartbeats_carry_the_turns(self, outlet, sent):
        outlet.beat()
        outlet.turn()
        outlet.beat()
        outlet.send(1, Notice("info", "A word."))
        beats = [it for it in sent if isinstance(it.event, Heartbeat)]
        assert [it.event.turn for it in beats] == [0, 1]
        assert [it.stamp.epoch for it in beats] == [NO_EPOCH, NO_EPOCH]

    def test_every_event_has_the_next_number(self, outlet, sent):
        outlet.beat()
        outlet.send(1, Notice("info", "A word."))
        outlet.send(2, Ready("CPU", "Because.", "cpu", 1))
        assert [it.stamp for it in sent] == [Stamp(5, 0, 1), Stamp(5, 1, 2), Stamp(5, 0, 3)]
