"""Options that several verbs share, and where their log lines go."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.cli.saying import shown

FOLDER = click.Path(path_type=Path)


class _StderrHandler(logging.Handler):
    """Writes to what stderr is at that moment: while bars are shown, rich puts lines above them."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is None:  # closed, and print would take stdout
            return
        # Whoever read this has gone: that ends no run, and its log has the line.
        with contextlib.suppress(OSError, ValueError):
            print(shown(self.format(record)), file=sys.stderr, flush=True)  # noqa: T201


class Number(click.FloatRange):
    """A finite number of at least ``least``: nothing is larger than not-a-number, so no limit may be it."""

    def __init__(self, least: float, *, included: bool = True) -> None:
        super().__init__(min=least, min_open=not included)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number of at least 1, and of at most ``most``, or one of ``words``."""

    def __init__(self, *words: str, most: int | None = None) -> None:
        super().__init__(min=1, max=most)
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number or the word, or a usage error."""
        if value in self._words or isinstance(value, int):
            return value
        if not str(value).isdecimal() or not int(value):
            words = "".join(f"{word} or " for word in self._words)
            self.fail(f"'{value}' is not {words}a whole number of at least 1", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


def verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every verb has."""

    @click.option("-v", "--verbose", is_flag=True, help="Show what is done in detail, and tracebacks.")
    @click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
    @functools.wraps(function)
    def wrapped(*args: Any, verbose: bool, quiet: bool, **options: Any) -> Any:
        level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
        handler = _StderrHandler()
        handler.setLevel(level)
        handler.setFormatter(logging.Formatter("%(message)s"))
        bench = logging.getLogger("bench")
        bench.handlers[:] = [handler]
        bench.setLevel(logging.DEBUG)
        bench.propagate = False
        return function(*args, **options)

    return wrapped


def details_shown() -> bool:
    """Whether the verb was asked for details, tracebacks among them."""
    return any(handler.level <= logging.DEBUG for handler in logging.getLogger("bench").handlers)


data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    envvar="BENCH_DATA",
    help="Where data sets are [default: $BENCH_DATA or the cache].",
)

include_option = click.option(
    "--include",
    "plugins",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A .py file with plug-ins of your own.",
)


checkpoints_option = click.option(
    "--no-checkpoints",
    "checkpoints",
    flag_value=False,
    default=True,
    help="Keep nothing of unfinished trainings: interrupted ones begin anew.",
)

cluster_option = click.option(
    "--cluster",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The workers that a cluster is asked for; see bench/execution/cluster.yaml.",
)

_replace_grid_option = click.option(
    "--replace-grid",
    is_flag=True,
    help="Run into a folder with results of another grid, whose records no report shows then.",
)

_add_option = click.option(
    "--add",
    is_flag=True,
    help="Run into a folder with results of another grid, and have reports show the cells of both.",
)


def other_grid_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What becomes of a folder that has results of another grid."""
    return _add_option(_replace_grid_option(function))


def listed(context: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The parts of a text that commas divide."""
    return tuple(filter(None, map(str.strip, (value or "").split(","))))


def grid_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which cells of which grid."""
    options = [
        click.option("--grid", type=click.Path(path_type=Path), default="grid.yaml", show_default=True,
                     help="The grid to read."),
        click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE",
                     help="Replace one value of the grid, for example axes.bits=[16]."),
        click.option("--only", multiple=True, metavar="KEY=PATTERN",
                     help="Only cells that match, for example student=cukd_v1 or bits=16,32."),
        click.option("--skip", multiple=True, metavar="KEY=PATTERN", help="No cells that match."),
        click.option("--limit", type=click.IntRange(min=2), metavar="N",
                     help="Use at most N images per split; such records are marked as not comparable."),
        data_root_option,
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto",
                     show_default=True, help="What to train and measure on."),
        click.option("--jobs", type=Count("auto"), default="auto", show_default=True, metavar="N|auto",
                     help="Stages at work at once; auto: as many as cores and memory allow, one a GPU. "
                     "Results are the same bit for bit. Timings run alone, with all cores."),
        click.option("--threads", type=Count(), default=1, show_default=True, metavar="N",
                     help="Threads of each job, for one large training. Another number rounds differently: "
                     "accuracies agree within the noise of seeds only."),
        include_option,
    ]  # fmt: skip
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)
