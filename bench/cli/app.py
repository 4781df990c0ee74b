"""The command line: verbs, logging, and the only place that prints and exits.

Results go to stdout, progress and logs to stderr. Heavy imports happen inside the verbs, so that
``--help`` answers at once.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Sequence

import click

from bench import __version__, environment
from bench.cli import exit_codes
from bench.cli.check import check
from bench.cli.compare import compare
from bench.cli.data import data
from bench.cli.doctor import doctor
from bench.cli.encode import encode
from bench.cli.evaluate import evaluate
from bench.cli.export import export
from bench.cli.ls import list_plugins
from bench.cli.measure import measure
from bench.cli.options import details_shown
from bench.cli.plan import plan
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.saying import say
from bench.cli.search import search
from bench.cli.verify import verify
from bench.cli.worker import worker
from bench.errors import BenchError, UsageError, told_to_people
from bench.training.signals import Asked

log = logging.getLogger(__name__)


def run_command(arguments: Sequence[str] | None, asked: Asked) -> int:
    """Run one command and return its exit code, see ``bench.errors``.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    environment.set_variables()
    try:
        environment.claim_packages()
        with told_to_people():
            return int(cli.main(arguments, prog_name="python -m bench", standalone_mode=False) or 0)
    except click.ClickException as error:
        _show_usage(error)
        return error.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except environment.TakenError as error:
        _show(UsageError(str(error)))
        return UsageError.exit_code
    except Exception as error:
        if asked.number is not None:  # libraries turn an interruption into errors of their own
            raise KeyboardInterrupt from error
        if isinstance(error, BenchError):
            _show(error)
            return error.exit_code
        _show(error)
        if not details_shown():
            say("this is a defect of hash-pareto; run again with -v for the traceback", err=True)
        return 1


def _show(error: Exception) -> None:
    """One line (a grid may have several faults); the traceback only with -v."""
    log.debug("traceback", exc_info=error)
    text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    say(text, err=True, label="error: ", color=_color())


def _show_usage(error: click.ClickException) -> None:
    """What click says of a command line, which holds words of the user's."""
    text = io.StringIO()
    error.show(text)
    say(text.getvalue().rstrip("\n"), err=True)


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hash-pareto")
def cli() -> None:
    """Benchmark suite for accuracy-efficiency trade-offs in image retrieval with distilled hash codes."""


_RESULTS = run, worker, plan, report, compare, check, verify, evaluate
_STUDENTS = export, encode, search
_SURROUNDINGS = measure, list_plugins, data, doctor
for _verb in (*_RESULTS, *_STUDENTS, *_SURROUNDINGS):
    cli.add_command(_verb)
exit_codes.tell(cli)
