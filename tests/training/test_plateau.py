"""When training rests, and what wakes it."""

from napari_msd.training.plateau import PATIENCE, UNMEASURED, StopRule


def measured(rule, scores, start=0, every=20):
    """Note scores `every` steps apart; the step at which the rule first rests, if it does."""
    for i, score in enumerate(scores, start=1):
        rule.note(start + i * every, score)
        if rule.stopped:
            return start + i * every
    return None


def test_it_rests_when_the_score_stops_improving():
    assert measured(StopRule(), [0.5, 0.7, 0.8] + [0.8] * 100) == 60 + PATIENCE


def test_noise_below_a_clear_gain_does_not_keep_it_awake():
    assert measured(StopRule(), [0.8 + 1e-6 * i for i in range(100)]) == 20 + PATIENCE


def test_it_goes_on_while_the_score_improves():
    assert measured(StopRule(), [i / 500 + 0.1 for i in range(200)]) is None


def test_what_learned_slowly_is_given_as_long_again():
    rising = [i / 100 for i in range(90)]
    assert measured(StopRule(), rising + [0.89] * 200) == 2 * 90 * 20


def test_a_stroke_wakes_it_and_a_lower_score_counts_as_new():
    rule = StopRule()
    rested = measured(rule, [0.9] * 100)
    rule.resume(rested)
    assert not rule.stopped
    assert measured(rule, [0.4, 0.5] + [0.5] * 100, start=rested) == rested + 40 + PATIENCE


def test_without_held_out_strokes_it_rests_after_a_while():
    assert measured(StopRule(), [None] * 1000) == UNMEASURED
