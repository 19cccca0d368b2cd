"""Why a worker leaves."""

from __future__ import annotations

import os
import signal
import time

from small_runs import Lab
from stillhouse.runs.process import stop_signals
from stillhouse.runs.state import state_of
from stillhouse.training.loop import train
from stillhouse.training.stop import DEADLINE, Stop


def test_a_worker_leaves_when_its_time_is_over() -> None:
    assert Stop(until=time.time() + 60).reason() is None
    assert Stop(until=time.time() - 1).reason() == DEADLINE


def test_a_worker_leaves_with_its_parent() -> None:
    assert Stop(parent=os.getppid()).reason() is None
    assert Stop(parent=1 if os.getppid() != 1 else 2).reason() is not None


def test_a_closed_terminal_asks_to_stop_unless_it_is_ignored() -> None:
    """`nohup` ignores SIGHUP for what it starts."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under `nohup`
        stop = Stop()
        stop.listen()
        signal.raise_signal(signal.SIGHUP)
        assert stop.reason() == "received SIGHUP"
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert stop_signals() == [signal.SIGINT, signal.SIGTERM]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_run_that_ran_out_of_time_says_so_and_goes_on_where_it_was(lab: Lab) -> None:
    run = lab.run("pure")
    assert lab.train(run, steps=4) == "enough"
    assert train(lab.open(run), Stop(until=time.time()), lambda t, r: None) == DEADLINE
    state = state_of(lab.folder(run))
    assert (state.name, state.reason, state.epoch) == ("stopped", DEADLINE, 1)
    status = lab.folder(run).attempts()[-1].read_status()
    assert (status["code"], state.code) == ("walltime", "walltime")
    assert status["step"] == 1
    assert status["memory"] > 1e7


def test_an_attempt_that_ends_before_resuming_loses_no_epoch(lab: Lab) -> None:
    run = lab.run("pure")
    lab.train(run, steps=4)
    lab.open(run).members[0].recorder.claim.attempt.status.write_text('{"state": "failed"}')
    assert state_of(lab.folder(run)).epoch == 1
