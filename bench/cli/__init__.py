"""The command line: one file a verb, joined by ``app``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from bench.training import signals

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see ``bench.errors``; a signal ends it in a line."""
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
