"""How much of the view is updated is said only where that takes long."""

from napari_msd.core.box import Box
from napari_msd.session.view_progress import ViewProgress

VIEW = Box(0, (0, 0), (100, 100))
TOP, BOTTOM = Box(0, (0, 0), (50, 100)), Box(0, (50, 0), (100, 100))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def followed():
    clock = Clock()
    return ViewProgress(clock), clock


def test_a_quick_view_shows_no_progress():
    progress, clock = followed()
    progress.note(TOP)
    clock.now = 0.9
    assert progress.fraction(VIEW) is None
    clock.now = 1.1
    assert progress.fraction(VIEW) == 0.5


def test_a_complete_view_shows_none():
    progress, clock = followed()
    progress.note(TOP)
    progress.note(BOTTOM)
    clock.now = 2
    assert progress.fraction(VIEW) is None


def test_a_block_that_comes_again_begins_anew():
    progress, clock = followed()
    progress.note(TOP)
    progress.note(BOTTOM)
    clock.now = 5
    progress.note(TOP)
    assert progress.fraction(VIEW) is None
    clock.now = 6.5
    assert progress.fraction(VIEW) == 0.5


def test_what_lies_outside_of_the_view_does_not_count():
    progress, clock = followed()
    progress.note(TOP)
    clock.now = 2
    assert progress.fraction(Box(0, (40, 0), (60, 100))) == 0.5
    assert progress.fraction(Box(0, (3, 0, 0), (4, 100, 100))) == 0


def test_given_up_or_begun_anew_there_is_nothing_to_show():
    progress, clock = followed()
    progress.note(TOP)
    clock.now = 20
    assert progress.fraction(VIEW) is None
    progress.note(BOTTOM)
    progress.restart()
    clock.now = 22
    assert progress.fraction(VIEW) is None
