"""The client's own threads: what fails, or is slow, holds up nothing else."""

import logging
import threading

from napari_msd.trainer.listener import Teller
from napari_msd.trainer.messages import Finished, Notice
from napari_msd.trainer.outbox import Outbox

from .conftest import PATIENCE


def broken():
    raise ZeroDivisionError("division by zero")


class TestOutbox:
    def test_goes_on_after_an_action_that_failed(self, caplog):
        errors, done, ended = [], threading.Event(), threading.Event()
        outbox = Outbox(errors.append, ended.set)
        outbox.put(broken)
        outbox.put(done.set)
        assert done.wait(PATIENCE)
        outbox.close()
        assert ended.wait(PATIENCE)
        assert [type(error) for error in errors] == [ZeroDivisionError]
        assert caplog.records[0].exc_info is not None  # the traceback is in the log
        assert caplog.records[0].levelno == logging.ERROR

    def test_survives_a_report_that_fails_too(self):
        done = threading.Event()
        outbox = Outbox(lambda error: broken(), lambda: None)
        outbox.put(broken)
        outbox.put(done.set)
        assert done.wait(PATIENCE)
        outbox.close()

    def test_the_last_action_is_done_even_if_others_are_skipped(self):
        busy, go_on, done, ended = (threading.Event() for _ in range(4))

        def block():
            busy.set()
            go_on.wait(PATIENCE)

        outbox = Outbox(lambda error: None, ended.set)
        outbox.put(block)
        outbox.put(done.set)
        assert busy.wait(PATIENCE)
        outbox.close()
        go_on.set()
        assert ended.wait(PATIENCE)
        assert not done.is_set()


class TestTeller:
    def test_tells_in_order(self):
        told, enough = [], threading.Event()

        def hear(session, event):
            told.append((session, event))
            if event == Finished("stop"):
                enough.set()

        teller = Teller(hear)
        teller.tell(1, Notice("info", "One."))
        teller.tell_late(lambda: (2, Notice("info", "Two.")))
        teller.tell_late(lambda: None)
        teller.tell(0, Finished("stop"))
        assert enough.wait(PATIENCE)
        teller.close(PATIENCE)
        assert [session for session, _ in told] == [1, 2, 0]

    def test_a_listener_that_fails_hears_the_next(self, caplog):
        heard = threading.Event()

        def hear(session, event):
            if session == 1:
                broken()
            heard.set()

        teller = Teller(hear)
        teller.tell(1, Finished("stop"))
        teller.tell(2, Finished("stop"))
        assert heard.wait(PATIENCE)
        teller.close(PATIENCE)
        assert caplog.records[0].exc_info is not None

    def test_a_listener_that_never_returns_does_not_hold_up_the_end(self):
        heard, inside, let_go = [], threading.Event(), threading.Event()

        def hear(session, event):
            heard.append(session)
            inside.set()
            let_go.wait(PATIENCE)

        teller = Teller(hear)
        teller.tell(1, Finished("stop"))
        teller.tell(2, Finished("stop"))
        assert inside.wait(PATIENCE)
        teller.close(0.0)  # returns
        let_go.set()
        teller._thread.join(PATIENCE)
        assert heard == [1]  # nothing is told after the end
