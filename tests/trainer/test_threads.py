"""The client's own threads: what fails, or is slow, holds up nothing else."""

import logging
import threading

from napari_msd.trainer.dispatcher import EventDispatcher
from napari_msd.trainer.lanes import Lanes
from napari_msd.trainer.messages import Finished, Notice
from napari_msd.trainer.send_queue import SendQueue

from .conftest import PATIENCE


def broken():
    raise ZeroDivisionError("division by zero")


class TestSendQueue:
    def test_goes_on_after_an_action_that_failed(self, caplog):
        errors, done, ended = [], threading.Event(), threading.Event()
        queue = SendQueue(errors.append, ended.set)
        queue.put(broken)
        queue.put(done.set)
        assert done.wait(PATIENCE)
        queue.close()
        assert ended.wait(PATIENCE)
        assert [type(error) for error in errors] == [ZeroDivisionError]
        assert caplog.records[0].exc_info is not None  # the traceback is in the log
        assert caplog.records[0].levelno == logging.ERROR

    def test_survives_a_report_that_fails_too(self):
        done = threading.Event()
        queue = SendQueue(lambda error: broken(), lambda: None)
        queue.put(broken)
        queue.put(done.set)
        assert done.wait(PATIENCE)
        queue.close()

    def test_the_last_action_is_done_even_if_others_are_skipped(self):
        busy, go_on, done, ended = (threading.Event() for _ in range(4))

        def block():
            busy.set()
            go_on.wait(PATIENCE)

        queue = SendQueue(lambda error: None, ended.set)
        queue.put(block)
        queue.put(done.set)
        assert busy.wait(PATIENCE)
        queue.close()
        go_on.set()
        assert ended.wait(PATIENCE)
        assert not done.is_set()

    def test_what_is_bulky_waits_for_what_is_not(self):
        order, go_on, done = [], threading.Event(), threading.Event()
        queue = SendQueue(lambda error: None, lambda: None)

        def bulk(name):
            for n in range(2):
                order.append(f"{name}{n}")
                if name == "a" and n == 0:
                    queue.put(lambda: order.append("stroke"))  # comes while a plane is sent
                yield
            if name == "b":
                done.set()

        queue.put(lambda: go_on.wait(PATIENCE))
        queue.put_bulk(bulk("a"))
        queue.put_bulk(bulk("b"))
        go_on.set()
        assert done.wait(PATIENCE)
        queue.close()
        assert order == ["a0", "stroke", "a1", "b0", "b1"]


def test_lanes_are_empty_after_the_end():
    lanes = Lanes()
    lanes.put(1)
    lanes.close()
    lanes.put(2)
    assert lanes.take() is None


class TestEventDispatcher:
    def test_delivers_in_order(self):
        heard, enough = [], threading.Event()

        def hear(session, event):
            heard.append((session, event))
            if event == Finished("stop"):
                enough.set()

        dispatcher = EventDispatcher(hear)
        dispatcher.dispatch(1, Notice("info", "One."))
        dispatcher.dispatch_late(lambda: (2, Notice("info", "Two.")))
        dispatcher.dispatch_late(lambda: None)
        dispatcher.dispatch(0, Finished("stop"))
        assert enough.wait(PATIENCE)
        dispatcher.close(PATIENCE)
        assert [session for session, _ in heard] == [1, 2, 0]

    def test_a_listener_that_fails_hears_the_next(self, caplog):
        heard = threading.Event()

        def hear(session, event):
            if session == 1:
                broken()
            heard.set()

        dispatcher = EventDispatcher(hear)
        dispatcher.dispatch(1, Finished("stop"))
        dispatcher.dispatch(2, Finished("stop"))
        assert heard.wait(PATIENCE)
        dispatcher.close(PATIENCE)
        assert caplog.records[0].exc_info is not None

    def test_a_listener_that_never_returns_does_not_hold_up_the_end(self):
        heard, inside, let_go = [], threading.Event(), threading.Event()

        def hear(session, event):
            heard.append(session)
            inside.set()
            let_go.wait(PATIENCE)

        dispatcher = EventDispatcher(hear)
        dispatcher.dispatch(1, Finished("stop"))
        dispatcher.dispatch(2, Finished("stop"))
        assert inside.wait(PATIENCE)
        dispatcher.close(0.0)  # returns
        let_go.set()
        dispatcher._thread.join(PATIENCE)
        assert heard == [1]  # nothing is heard after the end
