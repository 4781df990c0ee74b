"""The command line: verbs, logging, and the only place that prints and exits.

Results go to stdout, progress and logs to stderr. Heavy imports happen inside the verbs, so that
``--help`` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench import __version__, cli_data, cli_results
from bench.cli_options import Number, details_shown, grid_options, include, include_option, verb
from bench.errors import BenchError, UsageError, path_fault

if TYPE_CHECKING:
    from bench.planning.plan import Plan

KINDS = ("datasets", "teachers", "students", "methods", "losses", "metrics")

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, see ``bench.errors``."""
    # Threads that wait for others must not spin: on cores that something else uses as well, two spinning
    # threads halve the speed of a training and more. Read by OpenMP when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # GPUs by their place, as nvidia-smi counts them, and not the fastest first.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    try:
        return int(cli.main(arguments, prog_name="python -m bench", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BenchError as error:
        _show(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; finished cells are kept, run the same command to go on", err=True)
        return 130
    except SystemExit as error:  # of a plug-in: no verb exits, and its code would be taken for ours
        _show(
            UsageError(f"a plug-in ended the program (SystemExit: {error.code}); let it raise an exception")
        )
        return 2
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            _show(UsageError(path_fault(error)).with_traceback(error.__traceback__))
            return 2
        _show(error)
        if not details_shown():
            click.echo("this is a defect of hash-pareto; run again with -v for the traceback", err=True)
        return 1


def _show(error: Exception) -> None:
    """One line (a grid may have several faults); the traceback only with -v."""
    log.debug("traceback", exc_info=error)
    text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    click.echo(click.style("error: ", fg="red", bold=True) + text, err=True, color=_color())


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hash-pareto")
def cli() -> None:
    """Benchmark suite for accuracy-efficiency trade-offs in image retrieval with distilled hash codes."""


for _command in (
    *(cli_results.report, cli_results.compare, cli_results.check),
    *(cli_data.data, cli_data.doctor),
):
    cli.add_command(_command)


@cli.command()
@grid_options
@click.option("--out", type=click.Path(path_type=Path), help="Results folder [default: results/<grid name>].")
@click.option("--overwrite", type=click.Choice(["missing", "failed", "always"]), default="missing",
              show_default=True, help="missing: run cells without a record; failed: and those that failed; "
              "always: make everything anew.")  # fmt: skip
@verb
def run(grid: Path, out: Path | None, overwrite: Any, **options: Any) -> int:
    """Train, measure and record every cell of a grid; cells that have a record are skipped."""
    from bench.execution.run import run_plan

    plan, machine = _prepare(grid, fetch=True, **options)
    out = out or Path("results") / plan.name
    outcome = run_plan(plan, machine, out, overwrite)
    text = f"{outcome.present + outcome.ok} of {len(plan.selected)} cells ok in {out}"
    if not outcome.attempted:
        text += "; nothing to do, every cell has a record"
    elif not outcome.stages_run and outcome.ok == outcome.attempted:
        text += "; all from cache"
    click.echo(text)
    for label, slugs in (("failed", outcome.failed), ("skipped", outcome.skipped)):
        for slug in slugs:
            click.echo(f"{label}: {slug}")
    for sentence, cells in outcome.warnings.items():
        click.echo(f"warning: {cells} {'cell' if cells == 1 else 'cells'}: {sentence}")
    if said := _findings(out):
        chosen = {cell.key for cell in plan.selected}
        rest = [cell for cell in plan.cells if cell.key not in chosen]
        if any((out / "records" / cell.record_file).is_file() for cell in rest):
            said = [f"what all cells in {out} say, those of other runs among them:", *said]
        click.echo("\n".join(said))
    click.echo(f"tables, charts and web page of them: python -m bench report {out}", err=True)
    if outcome.exit_code:
        click.echo("their records hold the reason; --overwrite failed runs them again", err=True)
    return outcome.exit_code


@cli.command()
@grid_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def plan(grid: Path, as_json: bool, **options: Any) -> None:
    """Show cells and stages of a grid, what is cached, and the expected time and disk; starts nothing."""
    from bench.plan_text import plan_summary, plan_text
    from bench.planning import advice

    planned, machine = _prepare(grid, fetch=False, **options)
    for line in advice.warnings(planned):
        log.warning("warning: %s", line)
    summary = plan_summary(planned, machine.store, machine.job_hardware, machine.jobs)
    click.echo(json.dumps(summary, indent=1) if as_json else plan_text(summary))


@cli.command()
@click.argument("model")
@click.option("--image-size", type=click.IntRange(16, 2048), default=224, show_default=True,
              help="Input side.")  # fmt: skip
@click.option("--bits", type=click.IntRange(1, 4096), default=16, show_default=True, help="Code length.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--variant", "variants", multiple=True,
              type=click.Choice(["fp32", "bf16", "channels_last", "compile"]),
              help="Also time the same weights deployed this way.")  # fmt: skip
@click.option("--budget", type=Number(0, included=False), default=10.0, show_default=True,
              metavar="SECONDS", help="How long one timing may take, warm-up included; it ends earlier "
              "where its median is steady.")  # fmt: skip
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def measure(model: str, as_json: bool, device: str, plugins: Sequence[Path], **options: Any) -> None:
    """The cost card of one model with a hash head: parameters, MACs, latency, size."""
    from bench.cost_card import cost_card, cost_text

    include(plugins)
    card = cost_card(model, device=_device(device), **options)
    click.echo(json.dumps(card, indent=1) if as_json else cost_text(card))


@cli.command(name="ls")
@click.argument("kind", type=click.Choice(KINDS))
@include_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def list_plugins(kind: str, plugins: Sequence[Path], as_json: bool) -> None:
    """List what a grid may name."""
    from bench.registry import REGISTRIES

    include(plugins)
    registry = REGISTRIES[kind]
    summaries = {name: _summary(name, registry.get(name)) for name in registry.names()}
    if kind == "methods":
        summaries = {name: f"{text} [{_needs(registry.get(name))}]" for name, text in summaries.items()}
    summaries |= {
        f"{family}:<name>": f"Any network of {family} under its name there, for example {family}:resnet18."
        for family in registry.families
    }
    if as_json:
        click.echo(json.dumps(summaries, indent=1))
        return
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        click.echo(f"{name:{width}}  {summary}")


def _findings(out: Path) -> list[str]:
    """What the records in ``out`` say. Whatever is wrong with them, a run has done its work by then."""
    from bench.comparison.finding import findings
    from bench.results.records import load_results

    try:
        return findings(load_results(out))
    except Exception as error:
        log.warning("warning: nothing is said of %s: %s", out, error)
        log.debug("traceback", exc_info=error)
        return []


def _prepare(grid: Path, *, fetch: bool, data_root: Path | None, device: str, plugins: Sequence[Path],
             overrides: Sequence[str], only: Sequence[str], skip: Sequence[str],
             limit: int | None, jobs: int | str, threads: int) -> tuple[Plan, Any]:  # fmt: skip
    """The plan of a grid and the machine to run it on; with ``fetch``, missing data are downloaded."""
    from bench import environment
    from bench.data import copies, loading
    from bench.execution.machine import Machine
    from bench.planning.build import build_plan
    from bench.planning.config import load_grid
    from bench.planning.points import Choice
    from bench.registry import DATASETS
    from bench.storage import keys, store

    include(plugins)
    file, choice = load_grid(grid, overrides), Choice(only, skip, limit)
    root = data_root or loading.default_root()
    device, cores = _device(device), environment.default_threads()
    count = environment.default_jobs(device, cores, threads) if jobs == "auto" else int(jobs)
    if device == "cpu" and count * threads > cores:
        log.warning(
            "warning: --jobs %d with --threads %d on %d cores: they will wait for each other",
            count,
            threads,
            cores,
        )
    machine = Machine(
        store=store.Store(store.default_root()),
        data_root=root,
        device=device,
        threads=cores,
        precision=file.grid.defaults.precision,
        jobs=count,
        job_threads=threads,
        plugins=tuple(path.resolve() for path in plugins),
    )
    most = None if fetch else copies.QUICK  # what is to be run is read anyway
    planned = build_plan(file, root, machine.hardware, choice, most_files=most)
    if fetch and planned.missing:  # what selected cells miss, and no other data
        wanted = {
            keys.canonical_json([cell.info.dataset, cell.params["dataset"]]) for cell in planned.selected
        }
        for name, params in map(json.loads, sorted(wanted)):
            plugin = DATASETS.get(name)
            plugin(plugin.Params.of(params)).prepare(root)
        planned = build_plan(file, root, machine.hardware, choice, most_files=most)
    return planned, machine


def _device(asked: str) -> str:
    """``auto`` is the GPU where the driver shows one; asking torch would cost seconds."""
    from bench.environment import gpu_model

    return ("cuda" if gpu_model() else "cpu") if asked == "auto" else asked


def _summary(name: str, plugin: type) -> str:
    """What a plug-in is, in one line.

    A built-in one is its file, whose docstring says it. The file of any other may begin with anything, and
    hold several: the docstring of its class comes first, never that of a parent.
    """
    from bench.registry import REGISTRIES

    module, own = sys.modules.get(plugin.__module__), plugin.__dict__.get("__doc__")
    package, _, file = plugin.__module__.rpartition(".")
    built_in = file == name and package in {registry.package for registry in REGISTRIES.values()}
    texts = [module.__doc__ if module and file == name else None, own]
    for text in texts if built_in else reversed(texts):
        first = (text or "").strip().partition("\n")[0]
        if first and not re.search("copyright|licen[cs]e|spdx", first, re.IGNORECASE):
            return first
    return f"class {plugin.__qualname__} of {file}, which has no docstring"


def _needs(method: Any) -> str:
    """What a method takes: ``1 teacher (cached features), no labels``."""
    least, most = method.teachers
    if not method.trains:
        return "no teacher, no labels"
    if method.teacher_output == "network":
        output = "live, trained first"
    else:
        output = f"cached {method.teacher_output}"
    number = str(least) if least == most else f"{least} to {most}"
    teachers = f"{number} teacher{'s' if most > 1 else ''} ({output})" if most else "no teacher"
    return f"{teachers}, {'labels' if method.uses_labels(method.Params()) else 'no labels'}"
