"""What is wrong with the tuning that a grid asks for: what cannot be searched, and where nothing is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from bench.errors import did_you_mean, escaped, shortened
from bench.planning.config import resolve
from bench.planning.grid_faults import Fault, faults
from bench.planning.optuna_points import MOST_TRIALS
from bench.planning.plugin_faults import name_faults
from bench.planning.schema import Grid, NamedPlugin, Tune
from bench.planning.search_space import range_fault
from bench.planning.tuned import (
    LAST_SEED,
    OPTUNA,
    SEARCHED,
    UnfitTrialError,
    shorter,
    space_of,
    tunable,
    tuning_of,
)
from bench.planning.yaml_nodes import Path
from bench.registry import LOSSES
from bench.results.tuning import SCALES, is_range
from bench.types import Space

_PLACE: Path = ("tune", "space")


def tuning_faults(grid: Grid) -> Iterator[Fault]:
    """Place and plain words of each; the names on the axes are known to be right."""
    tune = grid.tune
    if tune is None:
        return
    unsound = [fault for axis in SEARCHED for fault in _spaces_faults(tune, axis)]
    if unsound:  # of which nothing else can be said
        yield from unsound
        return
    if not any(LOSSES.get(entry.name).trains for _, entry in _entries(grid, "loss")):
        yield ("tune",), "no loss of this grid trains, so there is nothing to tune; leave it out"
    yield from _sampler_faults(tune)
    yield from _share_faults(grid, tune)
    found = [fault for axis in tune.of for fault in _axis_faults(grid, tune, axis)]
    yield from found or dict.fromkeys(_trial_faults(grid, tune))
    seeds: list[tuple[Path, list[int]]] = [(("axes", "seed"), grid.axes.seed)]
    seeds += [(("include", i, "seed"), one.seed) for i, one in enumerate(grid.include) if one.seed]
    for path, values in seeds:
        for i, seed in enumerate(values):
            if seed >= LAST_SEED - tune.studies:
                yield (*path, i), f"seed {seed} is one of those that trials have; take a smaller one"


def _sampler_faults(tune: Tune) -> Iterator[Fault]:
    """Of a sampler that draws each trial from those before it."""
    if tune.sampler != OPTUNA:
        return
    if tune.of != ["loss"]:
        cure = "write sampler: quasirandom, or of: loss"
        yield ("tune", "sampler"), f"optuna draws a trial when its step 1 is already planned; {cure}"
    if tune.trials > MOST_TRIALS:
        cure = f"write {MOST_TRIALS} or fewer, or sampler: quasirandom"
        yield ("tune", "trials"), f"optuna draws one trial after another, and not {tune.trials:,}; {cure}"


def _share_faults(grid: Grid, tune: Tune) -> Iterator[Fault]:
    """Of trials that would have less than an epoch: of what has the fewest, whose cure is that of all."""
    found = []
    for axis in tune.of:
        registry, defaults = SEARCHED[axis]
        for _, entry in _sound(grid, axis):
            if registry.get(entry.name).trains:
                params: Any = resolve(registry, entry, getattr(grid.defaults, defaults))
                found.append((params.epochs, f"{axis} '{entry.name}'"))
    fewest, whose = min(found, default=(1, ""))
    if tune.epochs_share * fewest < 1:
        least = math.ceil(1000 / fewest) / 1000
        what = f"epochs_share {tune.epochs_share:g} of the {fewest} epochs of {whose} is less than one epoch"
        yield ("tune", "epochs_share"), f"{what}; write {least:g} or more"


def _axis_faults(grid: Grid, tune: Tune, axis: str) -> Iterator[Fault]:
    """Of the losses or methods that are searched."""
    registry, _ = SEARCHED[axis]
    entries = [(place, entry) for place, entry in _entries(grid, axis) if registry.get(entry.name).trains]
    if not entries and axis == "method":
        cure = "write of: [loss]" if "loss" in tune.of else "leave it out"
        yield ("tune", "of"), f"no method of this grid trains, so there is none to tune; {cure}"
    for name in getattr(tune.space, axis).keys() - {entry.name for _, entry in entries}:
        yield (*_PLACE, axis, name), f"no {axis} that this grid trains is called {name}; leave it out"
    for place, entry in entries:
        yield from _entry_faults(place, entry, axis, grid)


def _entries(grid: Grid, axis: str) -> Iterator[tuple[Path, NamedPlugin]]:
    """Every loss or method that the grid names, and where."""
    yield from ((("axes", axis, i), entry) for i, entry in enumerate(getattr(grid.axes, axis)))
    for i, overlay in enumerate(grid.include):
        yield from ((("include", i, axis, j), entry) for j, entry in enumerate(getattr(overlay, axis) or ()))


def _spaces_faults(tune: Tune, axis: str) -> Iterator[Fault]:
    """Of what is searched of losses or methods, whatever else the grid has."""
    registry, _ = SEARCHED[axis]
    spaces = getattr(tune.space, axis)
    if spaces and axis not in tune.of:
        cure = f"write of: [method, loss], or leave out space.{axis}"
        yield (*_PLACE, axis), f"tune searches no {axis}: of is {', '.join(tune.of)}; {cure}"
    for name, space in spaces.items():
        place = (*_PLACE, axis, name)
        yield from [*name_faults(place, registry, escaped(name))] or _space_faults(place, axis, name, space)


def _space_faults(place: Path, axis: str, name: str, space: Space) -> Iterator[Fault]:
    """Of what is searched for one loss or method."""
    known = tunable(SEARCHED[axis][0].get(name))
    if not known:
        yield place, f"{axis} '{name}' has nothing that can be searched; leave it out"
        return
    if not space:
        yield place, f"name what is searched of {name}, or leave it out for what it declares"
    for parameter, searched in space.items():
        where = (*place, parameter)
        if parameter not in known:
            hint = did_you_mean(parameter, known) or f" (those of {name}: {', '.join(known)})"
            yield where, f"'{parameter}' is nothing that can be searched{hint}"
        elif fault := range_fault(searched):
            yield where, fault
        else:
            yield from _value_faults(where, axis, name, searched)


def _value_faults(place: Path, axis: str, name: str, searched: Sequence[Any]) -> Iterator[Fault]:
    """Of the ends of a range, or of values to choose from, of the parameter at the end of ``place``."""
    parameter, schema = str(place[-1]), SEARCHED[axis][0].get(name).Params
    for i, value in enumerate(searched[:2] if is_range(searched) else searched):
        try:
            schema.of({parameter: value})
        except ValidationError as error:
            told = [words for _, words in faults(error, schema, owner=f" of {axis} '{name}'")]
            yield (*place, i), (i and _no_scale(searched, i)) or told[0]


def _no_scale(searched: Sequence[Any], place: int) -> str:
    """What is wrong with a word behind numbers, which is meant for the scale of a range; empty: nothing."""
    *bounds, word = searched
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in bounds)
    if not numbers or not isinstance(word, str) or place != len(bounds):
        return ""
    if len(bounds) == 2:
        hint = did_you_mean(word, SCALES) or f"; write {' or '.join(SCALES)}"
        return f"a range ends in its scale, and '{escaped(shortened(word))}' is none{hint}"
    if word not in SCALES:
        return ""
    if len(bounds) < 2:
        return f"'{word}' makes a range of two numbers; write [low, high, {word}]"
    ends = f"[{min(bounds):g}, {max(bounds):g}, {word}]"
    cure = f"write {ends}, or leave '{word}' out to choose from the numbers"
    return f"'{word}' makes a range of two numbers, not of {len(bounds)}; {cure}"


def _entry_faults(place: Path, entry: NamedPlugin, axis: str, grid: Grid) -> Iterator[Fault]:
    """Of an entry: nothing is left to search, or it fixes what the grid wants searched."""
    tune, (registry, defaults) = grid.tune, SEARCHED[axis]
    assert tune is not None
    given = getattr(tune.space, axis).get(entry.name, {})
    for parameter in given.keys() & entry.params.keys():
        cure = f"leave it out there, or out of tune.space.{axis}.{entry.name}"
        yield (*place, "params", parameter), f"{parameter} is given here and searched by tune; {cure}"
    space = space_of(tune, axis, entry)
    if not space:
        cure = f"name some in tune: {{space: {{{axis}: {{{entry.name}: {{lr: [1.0e-5, 1.0e-2, log]}}}}}}}}"
        yield place, f"{axis} '{entry.name}' has no parameters left to search; {cure}"
        return
    if not given and (fault := next(_space_faults((), axis, entry.name, space), None)):
        where, why = fault  # of a plug-in from elsewhere; the suite's own are tested
        yield place, f"what {axis} '{entry.name}' declares as its space is wrong: {where[0]}: {why}"
        return
    try:
        params: Any = resolve(registry, entry, getattr(grid.defaults, defaults))
    except ValidationError:  # defaults that it cannot have, of which its cells tell
        return
    falls_to, rates = getattr(params.schedule, "final_lr", 0.0), space.get("lr", ())
    if falls_to > min(rates[:2] if is_range(rates) else rates, default=falls_to):
        yield place, f"schedule.final_lr {falls_to:g} is above the least lr that is searched; lower it"
    if axis == "method" and (fewer := shorter(tune, grid, axis, entry)):
        why = registry.get(entry.name).check(params.model_copy(update=fewer))
        cure = f"or raise tune.epochs_share: trials of {entry.name} have {fewer['epochs']} epochs"
        yield from [(place, f"{why}, {cure}")] if why else ()


def _trial_faults(grid: Grid, tune: Tune) -> Iterator[Fault]:
    """Of values that are right by themselves, and wrong between the ends of a range or together."""
    methods = [*_sound(grid, "method")]
    pairs = itertools.product(methods if "method" in tune.of else methods[:1], _sound(grid, "loss"))
    for (method_place, method), (loss_place, loss) in pairs:
        try:
            tuning_of(grid, method, loss)
        except UnfitTrialError as unfit:
            axis, found = unfit.axis, unfit.error.errors()[0]
            why = found["msg"].removeprefix("Value error, ").removeprefix("Input ")
            place, entry = (method_place, method) if axis == "method" else (loss_place, loss)
            what = ".".join(map(str, found["loc"])) or ", ".join(space_of(tune, axis, entry))
            where = (*_PLACE, axis, entry.name) if entry.name in getattr(tune.space, axis) else place
            yield where, f"a trial of {axis} '{entry.name}' cannot be: {what}: {why}"


def _sound(grid: Grid, axis: str) -> Iterator[tuple[Path, NamedPlugin]]:
    """The entries without those that cannot have the defaults of the grid, of which their cells tell."""
    registry, defaults = SEARCHED[axis]
    for place, entry in _entries(grid, axis):
        try:
            resolve(registry, entry, getattr(grid.defaults, defaults))
        except ValidationError:
            continue
        yield place, entry
