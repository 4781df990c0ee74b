"""The command line: one file a verb, joined by ``app``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from bench.training import signals

__all__ = ["main"]

#: The highest number of a stream: in, out, errors.
STREAMS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see ``bench.errors``; a signal ends it in a line."""
    _open_streams()
    with signals.interrupting(signals.ENDING) as asked:
        try:
            from bench.cli import app  # in here, as loading takes a while, and may be interrupted

            return app.run_command(arguments, asked)
        except KeyboardInterrupt:
            exec("")  # noqa: S102 (Python dies of SIGINT where the last source that it has run was interrupted)
            name = asked.number.name if asked.number else ""
            what = f"ended by {name}" if asked.exit_code != signals.BY_KEYBOARD else "interrupted"
            with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody may be listening
                sys.stderr.write(f"{what}; what is finished is kept, run the same command to go on\n")
                sys.stderr.flush()
            return asked.exit_code


def _open_streams() -> None:
    """Have closed streams lead nowhere: a file of ours in their place would get what others print."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STREAMS:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for good)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for good)
