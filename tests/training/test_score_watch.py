"""Models that get worse are noticed; noise and learning are not."""

from napari_msd.training.score_watch import RECENT, TIME_TO_LEARN, ScoreWatch


def watch_of(*scores):
    watch = ScoreWatch()
    for score in scores:
        watch.note(score)
    return watch


def test_scores_that_rise_or_wobble_are_nothing_to_tell():
    assert watch_of(*(i / 20 for i in range(20))).sentence == ""
    assert watch_of(*[0.8, 0.83, 0.79, 0.82, 0.81, 0.8] * 3).sentence == ""
    assert watch_of(*[0.9] * 10, 0.3).sentence == ""  # one low measurement alone
    assert watch_of(*[None] * 10).sentence == ""


def test_training_that_makes_it_worse_is_told_until_it_recovers():
    watch = watch_of(*[0.9] * 5, *[0.7] * RECENT)
    assert "worse (0.70" in watch.sentence
    assert "best 0.90" in watch.sentence
    for _ in range(RECENT):
        watch.note(0.9)
    assert watch.sentence == ""


def test_strokes_that_cost_score_are_told_once_they_were_learned():
    watch = watch_of(*[0.9] * 10)
    watch.strokes_changed()
    watch.strokes_changed()  # one stroke is many changes
    for _ in range(TIME_TO_LEARN - 1):
        watch.note(0.7)
    assert watch.sentence == ""
    watch.note(0.7)
    assert "fell from 0.90 to 0.70" in watch.sentence
    watch.note(0.88)
    assert "fell" not in watch.sentence
