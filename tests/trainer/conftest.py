"""A real trainer process, and a listener that waits for its events."""

import threading

import numpy as np
import pytest

from napari_msd.core.box import Box
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import Painted
from napari_msd.trainer.client import TrainerClient
from napari_msd.trainer.messages import Finished, Notice

SHAPE = (64, 96)
SMALL = Settings.from_preset(depth=3, patch_size=32, learning_rate=0.02)
PATIENCE = 90.0  # seconds until a wait is given up: a hang must fail, not block


class Listener:
    """Keeps all events; `wait` for one that a test is about."""

    def __init__(self):
        self.events, self.sessions = [], []
        self.threads = set()  # that told something
        self._condition = threading.Condition()

    def __call__(self, session, event):
        with self._condition:
            self.threads.add(threading.current_thread())
            self.sessions.append(session)
            self.events.append(event)
            self._condition.notify_all()

    def wait(self, kind, accept=lambda event: True, *, since=0):
        def found():
            return [e for e in self.events[since:] if isinstance(e, kind) and accept(e)]

        with self._condition:
            arrived = self._condition.wait_for(found, PATIENCE)
            texts = [e.text for e in self.events if isinstance(e, Notice)]
            assert arrived, f"no {kind.__name__} came; notices: {texts}"
            return found()[0]

    @property
    def now(self):
        return len(self.events)


@pytest.fixture(scope="module")
def shared_client():
    """One process for many tests: starting it takes seconds, opening a session does not."""

    class Relay:
        listener = Listener()

    client = TrainerClient(lambda *event: Relay.listener(*event))
    client.relay = Relay
    yield client
    client.close()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def client(shared_client, listener):
    """A trainer that is up and has nothing to do."""
    shared_client.relay.listener = Listener()
    shared_client.start()
    shared_client.open(SMALL, plane_space(), read_image)
    shared_client.cancel()
    shared_client.relay.listener.wait(Finished)
    shared_client.relay.listener = listener
    return shared_client


@pytest.fixture
def own_client(listener):
    """A trainer for a test that kills or closes it."""
    client = TrainerClient(listener)
    yield client
    client.close()


def image(noise: float = 10.0) -> np.ndarray:
    """Three grey thirds with noise, float32."""
    rng = np.random.default_rng(0)
    grey = np.repeat([50.0, 100.0, 150.0], 32)[None, :]
    return (grey + rng.normal(0, noise, SHAPE)).astype(np.float32)


def strokes(*classes: int) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    for value in classes:
        column = 32 * (value - 1) + 14
        labels[2:62, column : column + 4] = value
    return labels


def plane_space(shape: tuple[int, int] = SHAPE, n_channels: int = 1) -> dict[int, Space]:
    """One 2-D image."""
    return {0: Space("YX", shape, n_channels=n_channels)}


def stack_space(n: int = 40) -> dict[int, Space]:
    """One stack of `n` slices."""
    return {0: Space("ZYX", (n, *SHAPE))}


def slab(*index: int) -> Box:
    """All of the 2-D image, or of a slice of the stack."""
    return area(0, 0, *SHAPE, plane=index)


def area(top: int, left: int, bottom: int, right: int, plane=()) -> Box:
    """A rectangle of the 2-D image, or of a slice of the stack."""
    return Box(0, (*plane, top, left), (*(i + 1 for i in plane), bottom, right))


def plane_of(box: Box) -> tuple[int, ...]:
    """Which slice a box lies on; () for a 2-D image."""
    assert box.shape[:-2] == (1,) * (box.ndim - 2)
    return box.start[:-2]


def read_image(box: Box) -> np.ndarray:
    """`image`, as each slice of a stack."""
    return image().reshape(box.shape)


def painted(*classes: int, plane=()) -> list[Painted]:
    box = slab(*plane)
    return [Painted(box, strokes(*classes).reshape(box.shape))]


def all_of(plane=()) -> Box:
    return slab(*plane)
