"""What SIGINT, SIGTERM and SIGUSR1 mean: interrupt the run, a training after it has written where it is.

SIGINT is Ctrl+C. Schedulers of clusters send SIGTERM to what has to go, and some time before that what they
were asked for, mostly SIGUSR1. An interrupted run goes on when it is started again.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

#: What a scheduler sends; not every system has all.
SENT = [number for number in signal.Signals if number.name in ("SIGTERM", "SIGUSR1")]


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """What a scheduler sends raises KeyboardInterrupt inside, unless the program has its own answer."""
    asked = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:  # the next one must not end the tidying up
            asked = True
            raise KeyboardInterrupt

    unanswered = [number for number in SENT if signal.getsignal(number) is signal.SIG_DFL]
    with _answered(dict.fromkeys(unanswered, interrupt)):
        yield


def leave_to_parent() -> None:
    """Have this process ignore what its whole group gets; the one that started it ends it by SIGTERM."""
    for number in (signal.SIGINT, *SENT):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)


@contextlib.contextmanager
def born_deaf() -> Iterator[None]:
    """Processes that are started inside ignore SIGUSR1 to the group, which ends those that do not know it.

    One of them is Python's own helper, which ignores other signals by itself.
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
