"""Signals wait for the end of a step, and mean what they meant before."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from bench.training import signals

ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
SENT = [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]


@pytest.fixture(autouse=True)
def _as_before():
    """Signals of the test runner, and those that a test sends to itself, end no test run."""
    before = {number: signal.getsignal(number) for number in ALL}
    yield
    assert {number: signal.getsignal(number) for number in ALL} == before
    for number, answer in before.items():
        signal.signal(number, answer)


@pytest.mark.parametrize("number", SENT)
def test_what_a_scheduler_sends_interrupts_once(number):
    with pytest.raises(KeyboardInterrupt), signals.interrupting():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)  # tidying up goes on
            for other in SENT:
                signal.raise_signal(other)


@pytest.mark.parametrize("number", SENT)
def test_a_program_with_an_answer_of_its_own_keeps_it(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append(number))
    try:
        with signals.interrupting():
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert heard == [number]


@pytest.mark.parametrize("number", ALL)
def test_a_signal_waits_until_it_is_let_go(number):
    done = []
    with pytest.raises(KeyboardInterrupt), signals.interrupting(), signals.held() as held:
        assert not held.waiting
        signal.raise_signal(number)
        done.append("step")
        assert held.waiting
        held.let_go()
        done.append("never")
    assert done == ["step"]


@pytest.mark.parametrize("number", ALL)
def test_at_the_end_none_waits_any_longer(number):
    with pytest.raises(KeyboardInterrupt), signals.interrupting(), signals.held():
        signal.raise_signal(number)


def test_an_error_that_a_signal_may_have_caused_is_an_interruption():
    with pytest.raises(KeyboardInterrupt), signals.interrupting(), signals.held():
        signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("a worker was killed")


def test_who_presses_twice_does_not_wait():
    with pytest.raises(KeyboardInterrupt), signals.held() as held:
        signal.raise_signal(signal.SIGINT)
        assert held.waiting
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it waited")


def test_schedulers_may_send_as_often_as_they_like():
    done = []
    with pytest.raises(KeyboardInterrupt), signals.interrupting(), signals.held() as held:
        for number in (*SENT, *SENT):
            signal.raise_signal(number)
        done.append("step")
        held.let_go()
    assert done == ["step"]


def test_with_an_answer_that_ends_nothing_the_training_goes_on():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append((number, frame is not None)))
    try:
        with signals.held() as held:
            for _ in range(2):
                signal.raise_signal(signal.SIGUSR1)
                held.let_go()
                assert not held.waiting
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [(signal.SIGUSR1, True)] * 2


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals.held() as held:
            signal.raise_signal(signal.SIGTERM)
            assert not held.waiting
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_get_no_signals():
    seen = []

    def elsewhere():
        with signals.interrupting(), signals.held() as held:
            seen.append((held.waiting, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def ended(script):
    """How a process of its own ends, and what it says."""
    script = f"import os, signal, subprocess, sys\nfrom bench.training import signals\n{script}"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_signal_that_nobody_answers_ends_the_program_after_the_step():
    done = ended(
        "with signals.held() as held:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('step', flush=True)\n"
        "    held.let_go()\n"
        "    print('never', flush=True)"
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "step\n")


def test_a_process_that_leaves_it_to_its_parent_ends_by_sigterm_alone():
    done = ended(
        "signals.leave_to_parent()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "print('here', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "here\n")


def test_processes_born_deaf_hear_no_usr1_and_their_parent_does():
    child = "import os, signal; os.kill(os.getpid(), signal.SIGUSR1); print(signal.getsignal(signal.SIGTERM))"
    done = ended(
        "with signals.born_deaf():\n"
        f"    child = subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True)\n"
        "print(child.stdout, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)"
    )
    assert (done.returncode, done.stdout.split()) == (-signal.SIGUSR1, ["0"]), done.stderr


@pytest.mark.parametrize("number", SENT)
def test_what_interrupts_a_callback_is_not_lost(number):
    class Gone:
        def __del__(self):
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt), signals.interrupting():
        gone = Gone()
        del gone  # Python ignores what is raised in there
        time.sleep(10)
