"""What is wrong with the tuning that a grid asks for: what cannot be searched, and where nothing is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from bench.errors import did_you_mean, escaped, shortened
from bench.planning.config import resolve
from bench.planning.grid_faults import Fault
from bench.planning.plugin_faults import name_faults
from bench.planning.schema import Grid, NamedPlugin
from bench.planning.search_space import range_fault
from bench.planning.tuned import LAST_SEED, space_of, tunable, tuning_of
from bench.planning.yaml_nodes import Path
from bench.registry import LOSSES
from bench.results.tuning import is_range
from bench.types import Space

_PLACE: Path = ("tune", "space", "loss")


def tuning_faults(grid: Grid) -> Iterator[Fault]:
    """Place and plain words of each; the names on the axes are known to be right."""
    if grid.tune is None:
        return
    unsound = [
        fault
        for name, space in grid.tune.space.loss.items()
        for fault in [*name_faults((*_PLACE, name), LOSSES, escaped(name))] or _space_faults(name, space)
    ]
    if unsound:  # of which nothing else can be said
        yield from unsound
        return
    entries = [*_entries(grid)]
    tuned = [entry for _, entry in entries if LOSSES.get(entry.name).trains]
    if not tuned:
        yield ("tune",), "no loss of this grid trains, so there is nothing to tune; leave it out"
    for name in grid.tune.space.loss.keys() - {entry.name for entry in tuned}:
        yield (*_PLACE, name), f"no loss that this grid trains is called {name}; leave it out"
    for place, entry in entries:
        yield from _entry_faults(place, entry, grid)
    seeds: list[tuple[Path, list[int]]] = [(("axes", "seed"), grid.axes.seed)]
    seeds += [(("include", i, "seed"), one.seed) for i, one in enumerate(grid.include) if one.seed]
    for path, values in seeds:
        for i, seed in enumerate(values):
            if seed >= LAST_SEED - grid.tune.studies:
                yield (*path, i), f"seed {seed} is one of those that trials have; take a smaller one"


def _entries(grid: Grid) -> Iterator[tuple[Path, NamedPlugin]]:
    """Every loss that the grid names, and where."""
    yield from ((("axes", "loss", i), entry) for i, entry in enumerate(grid.axes.loss))
    for i, overlay in enumerate(grid.include):
        yield from ((("include", i, "loss", j), entry) for j, entry in enumerate(overlay.loss or ()))


def _space_faults(name: str, space: Space) -> Iterator[Fault]:
    """Of what is searched for one loss."""
    known = tunable(LOSSES.get(name))
    if not space:
        yield (*_PLACE, name), f"name what is searched of {name}, or leave it out for what it declares"
    for parameter, searched in space.items():
        place = (*_PLACE, name, parameter)
        if parameter not in known:
            hint = did_you_mean(parameter, known) or f" (those of {name}: {', '.join(known)})"
            yield place, f"'{parameter}' is nothing that can be searched{hint}"
        elif fault := range_fault(searched):
            yield place, fault
        else:
            yield from _value_faults(place, name, parameter, searched)


def _value_faults(place: Path, name: str, parameter: str, searched: Sequence[Any]) -> Iterator[Fault]:
    """Of the ends of a range, or of values to choose from."""
    for i, value in enumerate(searched[:2] if is_range(searched) else searched):
        try:
            LOSSES.get(name).Params.of({parameter: value})
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            yield (*place, i), f"{parameter} of loss '{name}' cannot be {shortened(str(value))}: {why}"


def _entry_faults(place: Path, entry: NamedPlugin, grid: Grid) -> Iterator[Fault]:
    """Of an entry: nothing is left to search, or it fixes what the grid wants searched."""
    assert grid.tune is not None
    if not LOSSES.get(entry.name).trains:
        return
    for parameter in grid.tune.space.loss.get(entry.name, {}).keys() & entry.params.keys():
        cure = f"leave it out there, or out of tune.space.loss.{entry.name}"
        yield (*place, "params", parameter), f"{parameter} is given here and searched by tune; {cure}"
    space = space_of(grid.tune, entry)
    if not space:
        cure = f"name some in tune: {{space: {{loss: {{{entry.name}: {{lr: [1.0e-5, 1.0e-2, log]}}}}}}}}"
        yield place, f"loss '{entry.name}' has no parameters left to search; {cure}"
        return
    if entry.name not in grid.tune.space.loss and (fault := next(_space_faults(entry.name, space), None)):
        where, why = fault  # of a plug-in from elsewhere; the suite's own are tested
        yield place, f"what loss '{entry.name}' declares as its space is wrong: {where[-1]}: {why}"
        return
    try:
        params: Any = resolve(LOSSES, entry, grid.defaults.finetune)
    except ValidationError:  # defaults that it cannot have, of which its cells tell
        return
    falls_to, rates = getattr(params.schedule, "final_lr", 0.0), space.get("lr", ())
    if falls_to > min(rates[:2] if is_range(rates) else rates, default=falls_to):
        yield place, f"schedule.final_lr {falls_to:g} is above the least lr that is searched; lower it"
    try:
        tuning_of(grid, entry)
    except ValidationError as error:  # values that are right by themselves, and wrong between or together
        found = error.errors()[0]
        what = ".".join(map(str, found["loc"])) or ", ".join(space)
        where = (*_PLACE, entry.name) if entry.name in grid.tune.space.loss else place
        yield where, f"a trial of loss '{entry.name}' cannot be: {what}: {found['msg']}"
