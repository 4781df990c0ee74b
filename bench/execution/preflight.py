"""What is looked at before any work begins: the device, images, networks, memory and cores."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from bench import environment
from bench.data.image_files import ImageFiles
from bench.errors import DataError, UsageError, of_network
from bench.execution.machine import Machine, Weights
from bench.execution.schedule import Schedule
from bench.planning.stage import Stage
from bench.registry import METHODS
from bench.stages.context import Context
from bench.stages.memory import Needs
from bench.stages.networks import check_views

log = logging.getLogger(__name__)

#: Of the memory that is available, for everything that is at work.
USABLE = 0.9
#: Cores per thread at work from which they are worth a word.
MANY = 4


def check_device(machine: Machine) -> None:
    """Refuse a device that torch does not see, and warn of one that will be slow.

    Raises:
        UsageError: there is no such device.
    """
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device; pass --device cpu")
    if machine.precision == "bf16" and not environment.bf16_in_hardware(machine.device):
        log.warning("precision: bf16 is emulated on this processor, many times slower than precision: fp32")


def look_around(schedule: Schedule, stages: Mapping[str, Stage], machine: Machine, weights: Weights) -> None:
    """Try every image and network, keep what will be at work inside the memory, and say what is left unused.

    Args:
        stages: key -> what is to be made on this machine.

    Raises:
        UsageError: images cannot be read, or a network cannot be built; names them.
    """
    context = machine.context(weights)
    _check_images(stages.values(), context)
    _check_networks(stages.values(), context)
    if machine.device == "cpu" and machine.cluster is None:  # else Ray looks at what its nodes have
        if machine.jobs > 1:  # else nothing waits for anything, and this process has networks to train
            _look_at_memory(schedule, stages, context)
        _look_at_cores(machine)


def _check_images(stages: Iterable[Stage], context: Context) -> None:
    """Decode every image file once: else a training would end at the first damaged one."""
    checked: set[str] = set()
    for block in filter(None, (stage.dataset for stage in stages)):
        if not _first(checked, block):
            continue
        loaded = context.dataset(block)
        pixels = loaded.images.pixels
        if isinstance(pixels, ImageFiles):
            if bad := pixels.undecodable():
                raise DataError(f"{block['name']}: {pixels.told(bad)}")
            for sentence in pixels.left_out.pictures():
                log.warning("warning: %s: %s", block["name"], sentence)


def _check_networks(stages: Iterable[Stage], context: Context) -> None:
    """Build every network once, so that wrong weights end the run before any work."""
    built: set[str] = set()
    for stage in stages:
        if stage.kind == "encode" and "encode" in stage.spec:
            check_views(stage, context)
        method, student = stage.spec.get("method"), stage.spec.get("student")
        teachers = [stage.spec, *stage.spec.get("online_teachers", [])]
        wanted = [(asked["teacher"], asked["output"]) for asked in teachers if "teacher" in asked]
        for teacher, output in wanted:
            if _first(built, teacher, output):
                with _about("teacher", teacher):
                    plugin: Any = context.teacher(teacher)
                    plugin.build_classifier() if output == "logits" else plugin.build()
        if student is None:
            continue
        if _first(built, student):
            with _about("student", student):
                context.student(student).build()
        if method is not None and _first(built, method["name"], student):
            METHODS.get(method["name"]).check_network(context.student(student).build())


def _look_at_memory(schedule: Schedule, stages: Mapping[str, Stage], context: Context) -> None:
    """Have stages wait for one another where they would not fit into memory together, and say so."""
    room = environment.available_memory()
    if room is None or not stages:
        return
    schedule.room, schedule.needs = round(USABLE * room), Needs(context).of(stages.values())
    key = max(schedule.needs, key=lambda key: schedule.needs[key], default=None)
    if key is None:
        return
    most, stage = schedule.needs[key], stages[key]
    need = f"{stage.kind} {stage.slug} needs about {most / 1e9:.1f} GB of {schedule.room / 1e9:.1f} GB"
    if most > schedule.room:
        log.warning("warning: %s; it runs alone and may fail: lower batch_size or image_size", need)
    elif most * schedule.jobs > schedule.room:
        fitting = schedule.room // most
        log.info("memory: %s: %d such at once, not %d", need, fitting, schedule.jobs)


def _look_at_cores(machine: Machine) -> None:
    """Say so where most cores will have nothing to do."""
    if machine.threads >= MANY * machine.jobs * machine.job_threads:
        had = f"{machine.jobs} {'job' if machine.jobs == 1 else 'jobs'} at once on {machine.threads} cores"
        more = machine.threads // machine.jobs
        log.info("cores: %s: --threads %d would train faster, and round differently", had, more)


@contextlib.contextmanager
def _about(role: str, network: dict[str, Any]) -> Iterator[None]:
    """Whatever is wrong with a network is told with its name."""
    try:
        yield
    except UsageError as error:
        raise of_network(f"{role} {network['name']}", error) from error


def _first(seen: set[str], *what: Any) -> bool:
    """Whether ``what``, plain JSON values, was not in ``seen``; it is then."""
    text = json.dumps(what)
    new = text not in seen
    seen.add(text)
    return new
