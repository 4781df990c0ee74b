"""What the program prints: results on stdout, all else on stderr, nothing that a terminal would act on."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from bench.errors import UsageError, escaped

#: White space that belongs to the form of a text.
_FORM = "\n\t"


def shown(text: str) -> str:
    """``text`` with all that a terminal would act on escaped, but for the breaks of lines."""
    return escaped(text, but=_FORM)


def say(text: object, *, err: bool = False, label: str = "", color: bool | None = None) -> None:
    """Print ``text`` and a line break.

    Names, paths and messages of others are in most texts, and they may hold anything.

    Args:
        text: what to print.
        err: to stderr, where a reader who has gone, or a full disk, ends nothing.
        label: comes first and is coloured.
        color: whether it is; None = where a terminal shows it.

    Who read stdout may have gone, which is no fault and changes no verdict: what comes is said to nobody.

    Raises:
        UsageError: stdout takes no more.
    """
    line = (click.style(label, fg="red", bold=True) if label else "") + shown(str(text))
    if err:
        with contextlib.suppress(OSError, ValueError):
            click.echo(line, err=True, color=color)
        return
    try:
        click.echo(line, color=color)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain at exit, too
    except OSError as error:
        raise UsageError(
            f"standard output: cannot write ({error.strerror or error}); what is finished is kept"
        ) from error
