"""Which mode is proposed, and that it is remembered with channels and order."""

import pytest

from napari_msd.core.space import Space
from napari_msd.session.memory import SessionMemory
from napari_msd.session.mode_choice import propose


def stack(slices, apart=None, axes="ZYX"):
    size = None if apart is None else (apart, 1.0, 1.0)
    return Space(axes, (slices, 64, 64), pixel_size=size, units=size and ("um",) * 3)


@pytest.mark.parametrize(
    ("space", "mode"),
    [
        (Space("YX", (64, 64)), "2d"),
        (stack(48, axes="TYX"), "2d"),
        (stack(48, axes="QYX"), "2d"),
        (stack(1), "2d"),
        (stack(4, 1.0), "2d"),
        (stack(5, 1.0), "2.5d"),
        (stack(15, 1.0), "2.5d"),
        (stack(16, 1.0), "3d"),
        (stack(16, 1.5), "3d"),
        (stack(16, 1.6), "2.5d"),
        (stack(100, 4.0), "2.5d"),
        (stack(100, 4.1), "2d"),
        (stack(100), "2.5d"),
        (stack(100, 0.0), "3d"),
    ],
)
def test_the_proposed_mode_depends_on_slices_and_their_distance(space, mode):
    proposal = propose(space, said=True)
    assert proposal.mode == mode
    assert proposal.mode in space.modes
    assert bool(proposal.reason) is space.has_slices


def test_distances_in_other_units_are_not_compared():
    space = Space("ZYX", (50, 9, 9), pixel_size=(1, 0.2, 0.2), units=("pixel", "um", "um"))
    assert propose(space, said=True).mode == "2.5d"


def test_guessed_slices_are_seen_one_by_one():
    assert propose(stack(100, 1.0), said=False).mode == "2d"


class Layer:
    """Anything that a weak reference can be made to."""


@pytest.fixture
def memory():
    return SessionMemory("quick", "auto")


def test_mode_and_neighbours_are_remembered_for_each_image(memory):
    one, two, other = Layer(), Layer(), Layer()
    assert memory.mode_of([one]) is None
    memory.choose_mode([one, two], "3d")
    memory.choose_context([one], 3)
    assert memory.mode_of([two, other]) == "3d"
    assert memory.mode_of([other]) is None
    assert (memory.context_of([one]), memory.context_of([other])) == (3, 1)


def test_channels_keep_the_order_in_which_a_network_saw_them(memory):
    red, green, blue = layers = [Layer() for _ in range(3)]
    assert memory.in_order(layers) == (red, green, blue)
    assert memory.in_order([blue, red, green]) == (red, green, blue)  # moved in the list
    memory.choose_channels([green, red])  # as a model wants them
    assert memory.in_order([red, green]) == (green, red)
    assert memory.in_order(layers) == (red, green, blue)


def test_channels_that_are_gone_are_not_remembered(memory):
    red, green = Layer(), Layer()
    assert memory.channels_of(red) is None
    memory.choose_channels([red, green])
    assert memory.channels_of(green) == (red, green)
    del red
    assert memory.channels_of(green) == (green,)
