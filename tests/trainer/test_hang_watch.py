"""Heartbeats tell a trainer that hangs from one that is busy, or starved, or at rest."""

from napari_msd.trainer.hang_watch import SILENT_TICKS, START_TICKS, STUCK_TICKS, HangWatch


def watched(*beats):
    watch = HangWatch()
    for turn, cpu in beats:
        watch.beat(turn, cpu)
    return watch


def ticks(watch, most):
    """How many ticks pass until something is wrong, and what."""
    for n in range(1, most + 1):
        if fault := watch.tick():
            return n, fault
    return most, ""


def test_ten_ticks_of_silence():
    assert ticks(watched((1, 0.5)), 100) == (SILENT_TICKS, "did not answer for ten seconds")


def test_a_heartbeat_in_time_is_enough():
    watch = watched((1, 0.5))
    for turn in range(200):
        assert ticks(watch, SILENT_TICKS - 1)[1] == ""
        watch.beat(turn, 0.0)


def test_loading_may_take_minutes():
    n, fault = ticks(watched(), 10_000)
    assert (n, fault) == (START_TICKS, "was not ready within five minutes")
    assert START_TICKS >= 120


def alive(watch, n, turn, cpu):
    """What is said in `n` ticks with a heartbeat each."""
    for i in range(n):
        if fault := watch.tick():
            return fault
        watch.beat(turn(i), cpu(i))
    return ""


def test_one_turn_that_computes_may_take_long():
    assert alive(HangWatch(), 10 * STUCK_TICKS, lambda i: 1, lambda i: 0.05 * i) == ""


def test_one_turn_that_neither_ends_nor_computes_is_a_hang():
    said = alive(HangWatch(), STUCK_TICKS + 1, lambda i: 1, lambda i: 0.001 * i)
    assert said == "stood still for half a minute"


def test_a_loop_at_rest_turns_and_is_left_alone():
    assert alive(HangWatch(), 10 * STUCK_TICKS, lambda i: i, lambda i: 0.001 * i) == ""
