"""What SIGINT, SIGTERM, SIGHUP and SIGUSR1 mean: interrupt the run, trainings after a checkpoint.

SIGINT is Ctrl+C, and SIGHUP comes when a terminal or a connection is closed. Schedulers of clusters send
SIGTERM to what has to go, and some time before that what they were asked for, mostly SIGUSR1. An interrupted
run goes on when it is started again.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

#: What others send than the user's keyboard; not every system has all.
SENT = [number for number in signal.Signals if number.name in ("SIGTERM", "SIGHUP", "SIGUSR1")]
#: What ends any command, and not a run alone.
ENDING = [number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGHUP")]


#: Seconds in which a callback should be over.
MOMENT = 0.05
#: The exit code of what Ctrl+C has ended.
BY_KEYBOARD = 128 + signal.SIGINT


@dataclass
class Asked:
    """Which signal has asked this process to end; None while none has."""

    number: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """What shells say of a process that SIGTERM or SIGHUP has ended, and of Ctrl+C for all others."""
        told = self.number is not None and self.number.name in ("SIGTERM", "SIGHUP")
        return 128 + self.number if told and self.number is not None else BY_KEYBOARD


@contextlib.contextmanager
def interrupting(numbers: Sequence[signal.Signals] = SENT) -> Iterator[Asked]:
    """``numbers`` raise KeyboardInterrupt inside, unless the program has its own answer, or ignores them.

    Each does so once, as the next one must not end the tidying up; but Ctrl+C always.
    """
    asked = Asked()

    def interrupt(number: int, frame: FrameType | None) -> None:
        again = asked.number is not None and number != signal.SIGINT
        asked.number = asked.number or signal.Signals(number)
        if not again:
            raise KeyboardInterrupt

    usual = (signal.SIG_DFL, signal.default_int_handler)
    unanswered = [number for number in numbers if signal.getsignal(number) in usual]
    with _answered(dict.fromkeys(unanswered, interrupt)), _told_again(asked):
        yield asked


@contextlib.contextmanager
def _told_again(asked: Asked) -> Iterator[None]:
    """Python ignores what is raised in callbacks and while objects go: an interruption comes again then."""
    before = sys.unraisablehook

    def ignored(what: sys.UnraisableHookArgs) -> None:
        number = asked.number
        if number is None or not isinstance(what.exc_value, KeyboardInterrupt):
            before(what)
            return
        asked.number = None
        threading.Timer(MOMENT, signal.raise_signal, (number,)).start()

    sys.unraisablehook = ignored
    try:
        yield
    finally:
        sys.unraisablehook = before


def leave_to_parent() -> None:
    """Have this process ignore what its whole group gets; the one that started it ends it by SIGTERM."""
    for number in (signal.SIGINT, *SENT):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)


@contextlib.contextmanager
def born_deaf() -> Iterator[None]:
    """Processes that are started inside ignore what ends those of the group that do not know it.

    One of them is Python's own helper, which ignores SIGINT and SIGTERM by itself.
    """
    with _answered({number: signal.SIG_IGN for number in SENT if number != signal.SIGTERM}):
        yield


class Held:
    """Signals that wait, but for a second Ctrl+C: who asks twice does not want to wait.

    Args:
        answers: by signal, what answers it at last.
    """

    def __init__(self, answers: dict[signal.Signals, Any]) -> None:
        self._answers = answers
        self._waiting: dict[int, FrameType | None] = {}

    @property
    def waiting(self) -> bool:
        """Whether there is one."""
        return bool(self._waiting)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Have a signal wait."""
        impatient = number == signal.SIGINT and number in self._waiting
        self._waiting[number] = frame
        if impatient:
            self.let_go()

    def let_go(self) -> None:
        """Have those that wait answered, which may end the program or raise anything."""
        while self._waiting:
            number, frame = self._waiting.popitem()
            answer = self._answers[signal.Signals(number)]
            if callable(answer):
                answer(number, frame)
            else:
                signal.signal(number, answer)
                signal.raise_signal(number)


@contextlib.contextmanager
def held() -> Iterator[Held]:
    """Inside, signals wait until they are let go, at the end at the latest; ignored ones stay so."""
    answers: dict[signal.Signals, Any] = {one: signal.getsignal(one) for one in (signal.SIGINT, *SENT)}
    # What answers outside of Python is left alone, too.
    answers = {number: one for number, one in answers.items() if one not in (signal.SIG_IGN, None)}
    kept = Held(answers)
    try:
        with _answered(dict.fromkeys(answers, kept.note)):
            yield kept
    finally:
        kept.let_go()  # an error of the block may come of what the signal did to others


@contextlib.contextmanager
def _answered(answers: dict[signal.Signals, Any]) -> Iterator[None]:
    """``answers`` inside, and what was there before afterwards; in threads, which get no signals, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, answer) for number, answer in answers.items()}
    try:
        yield
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)
