"""Which configurations of two results folders are the same, seed by seed, and which cannot be compared.

Configurations are matched by what a reader names, not by keys: keys change with every version of a plug-in,
and what such a change does to the numbers is exactly what is asked.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.comparison.choosing import PARTS, choose
from bench.comparison.crossing import crossed
from bench.errors import UsageError
from bench.results import tuning
from bench.results.comparable import accuracy_conditions, limited, machine, settings
from bench.results.folder import Results
from bench.results.names import Configuration, Matched, Names
from bench.results.records import EXTERNAL, Record
from bench.results.wording import one_line
from bench.storage.keys import file_name

#: How the note of parameters that differ begins.
CHANGED = "parameters differ: "


@dataclass(frozen=True)
class Pair:
    """One configuration on both sides.

    Attributes:
        name: as the new results call it.
        base_name: as the baseline does.
        base: its finished cells in the baseline, by seed.
        new: those of the same seeds, in the same order; as many.
        changed_params: whether parameters that count differ.
        notes: what a reader must know, ``parameters differ: loss.lr 0.002 -> 0.001``.
    """

    name: Configuration
    base_name: Configuration
    base: list[Record]
    new: list[Record]
    changed_params: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> Matched:
        """As both sides call it."""
        return Matched(self.base_name, self.name)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the new side."""
        return [record.cell.seed for record in self.new]


@dataclass(frozen=True)
class Gone:
    """Seeds of a configuration that finished in the baseline and have no numbers in the new results.

    Attributes:
        name: as the baseline calls it.
        status: ``failed``, ``skipped`` or ``absent``.
        reason: ``failed in finetune: ...``, ``not in the grid``, ``not run yet``.
    """

    name: Configuration
    seeds: list[int]
    status: str
    reason: str


@dataclass(frozen=True)
class Pairing:
    """How the configurations of two results folders belong together.

    Attributes:
        gone: also lists single seeds of configurations that are in ``pairs``.
        added: have numbers in the new results only.
        refused: cannot be compared, with the reason.
    """

    pairs: list[Pair]
    gone: list[Gone]
    added: list[Configuration]
    refused: list[tuple[Configuration, str]]


@dataclass(frozen=True, eq=False)
class _Variant:
    """The cells of one side that differ in nothing but the seed, whatever their status.

    Attributes:
        conditions: what must be equal for accuracies to be comparable.
        params: those that count in matching.
    """

    conditions: dict[str, Any]
    params: dict[str, Any]
    records: list[Record]

    @property
    def external(self) -> bool:
        """Whether it was measured elsewhere."""
        return self.records[0].status == EXTERNAL

    @property
    def finished(self) -> list[Record]:
        return [record for record in self.records if record.finished]

    def comparable(self, other: _Variant) -> bool:
        return self.conditions == other.conditions

    def equals(self, other: _Variant) -> bool:
        return self.comparable(other) and self.params == other.params


def pair(
    base: Results,
    new: Results,
    base_only: Mapping[str, str] | None = None,
    new_only: Mapping[str, str] | None = None,
    *,
    elsewhere: bool = False,
) -> Pairing:
    """Match the configurations of two results folders, or of two parts of one.

    Args:
        base: the baseline.
        new: what is set against it.
        base_only: keeps the cells of the baseline of which every key has the value given; keys are dataset,
            teacher, student, method, loss, bits, seed, image_size; values are names as reports show them,
            or patterns such as ``csq,dch`` and ``cukd*``.
        new_only: the same for ``new``. A key whose value is not the same on both sides is left out of
            the matching with all that hangs on it: ``{"method": "none"}`` against
            ``{"method": "cukd"}`` pairs students with their plain counterparts.
        elsewhere: set what was measured elsewhere against every configuration that is not, has codes as long
            and was found under the same conditions; pair nothing else.

    Raises:
        UsageError: a filter names an unknown key, or matches no cell.
    """
    base_only, new_only = dict(base_only or {}), dict(new_only or {})
    base_names, new_names = Names(base.records), Names(new.records)
    same = base.folder == new.folder
    chosen = choose(base, base_names, base_only, new_only if same else None)
    candidates = choose(new, new_names, new_only, base_only if same else None)
    free = {key for key in {*base_only, *new_only} if base_only.get(key) != new_only.get(key)}
    # A filter on the seed of one side alone chooses cells; different seeds are paired only if asked for.
    if "seed" not in base_only.keys() & new_only.keys():
        free.discard("seed")
    elif "seed" in free and any(len({one.cell.seed for one in side}) > 1 for side in (chosen, candidates)):
        raise UsageError("cells of different seeds are compared one by one; give one seed on each side")
    if elsewhere:
        free |= PARTS.keys() - {"dataset", "bits", "seed"}
    ours, theirs = _variants(chosen, free), _variants(candidates, free)
    found = _Found(
        base, new, base_names, new_names, seeds_differ="seed" in free, chosen=bool(base_only or new_only)
    )
    match = found.match_elsewhere if elsewhere else found.match
    for identity in dict.fromkeys((*ours, *theirs)):
        match(ours.get(identity, []), theirs.get(identity, []))
    return Pairing(
        pairs=sorted(found.pairs, key=lambda one: one.name),
        gone=sorted(found.gone, key=lambda one: (one.name, one.seeds)),
        added=sorted(found.added),
        refused=sorted(found.refused),
    )


class _Found:
    """Collects what becomes of the variants that go by one name, name after name."""

    def __init__(self, base: Results, new: Results, base_names: Names, new_names: Names, *,
                 seeds_differ: bool, chosen: bool) -> None:  # fmt: skip
        self.pairs: list[Pair] = []
        self.gone: list[Gone] = []
        self.added: list[Configuration] = []
        self.refused: list[tuple[Configuration, str]] = []
        self._stems = base.stems
        self._base_names, self._new_names = base_names, new_names
        self._seeds_differ = seeds_differ
        # Only the slug of a cell that has not been run is known; file names start with it.
        self._waiting = {file_name(slug, "") for slug in new.missing}
        self._absent = "no counterpart among the chosen cells" if chosen else "not in the grid"

    def match(self, ours: list[_Variant], theirs: list[_Variant]) -> None:
        """Match the variants of one name: equal ones first, then the only ones that are left."""
        ours, theirs = self._without_limited(ours, theirs)
        for same in (_Variant.equals, _Variant.comparable):
            for one in list(ours):
                left = [mine for mine in ours if same(one, mine)]
                right = [other for other in theirs if same(one, other)]
                if not left or not right:
                    continue
                if len(left) == len(right) == 1:
                    self._pair(left[0], right[0])
                else:
                    self._ambiguous(left, right)
                ours = [mine for mine in ours if mine not in left]
                theirs = [other for other in theirs if other not in right]
        self._other_conditions(ours, theirs)

    def match_elsewhere(self, ours: list[_Variant], theirs: list[_Variant]) -> None:
        """Pair all of one data set and code length of which one side was measured elsewhere."""
        ours, theirs = self._without_limited(ours, theirs)
        for one, other in itertools.product(ours, theirs):
            if one.external == other.external or not (one.finished and other.finished):
                continue
            (self._pair if one.comparable(other) else self._refuse)(one, other)
        # A seed that only one side has is no loss: the two were never one run.
        self.gone, self.added = [], []

    def _ambiguous(self, ours: list[_Variant], theirs: list[_Variant]) -> None:
        reason = f"not clear which belong together: {len(ours)} against {len(theirs)}"
        self.refused += [(self._base_name(one), reason) for one in ours if one.finished]
        self.refused += [(self._new_name(other), reason) for other in theirs if other.finished]

    def _without_limited(
        self, ours: list[_Variant], theirs: list[_Variant]
    ) -> tuple[list[_Variant], list[_Variant]]:
        reason = "limited run: such numbers compare with nothing"
        names = [self._base_name(one) for one in ours if limited(one.conditions)]
        names += [self._new_name(other) for other in theirs if limited(other.conditions)]
        self.refused += [(name, reason) for name in dict.fromkeys(names)]
        kept = [[one for one in side if not limited(one.conditions)] for side in (ours, theirs)]
        # Half of a limited pair is neither gone nor new.
        return ([], []) if names and not all(kept) else (kept[0], kept[1])

    def _other_conditions(self, ours: list[_Variant], theirs: list[_Variant]) -> None:
        """What is left: the same name under another protocol or precision, or on one side only."""
        met = []
        for one in ours:
            finished = bool(one.finished)
            if theirs and finished:
                other = min(theirs, key=lambda other: len(_changes(one.conditions, other.conditions)))
                met.append(other)
                self._refuse(one, other)
            elif finished:
                self._lost(one, None, one.finished)
        self.added += [self._new_name(other) for other in theirs if other.finished and other not in met]

    def _refuse(self, ours: _Variant, theirs: _Variant) -> None:
        reason = _conditions_differ(_changes(ours.conditions, theirs.conditions))
        self.refused.append((self._base_name(ours), reason))

    def _pair(self, ours: _Variant, theirs: _Variant) -> None:
        before, after, once = crossed(self._by_seed(ours.finished), self._by_seed(theirs.finished))
        both = [seed for seed in before if seed in after]
        chosen = [_same_machine(before[seed], after[seed]) for seed in both]
        if both:
            changes = _changes(tuning.in_brief(ours.params), tuning.in_brief(theirs.params))
            notes = [f"{CHANGED}{_listed(changes)}"] if changes else []
            seeds = ((one.cell.seed, other.cell.seed) for one, other in chosen if not once)
            notes += [f"seed {one} against seed {other}" for one, other in seeds if one != other]
            notes += once
            notes += _lonely([seed for seed in before if seed not in after], "A")
            notes += _lonely([seed for seed in after if seed not in before], "B")
            sides = [one for one, _ in chosen], [other for _, other in chosen]
            names = self._new_names(sides[1][0]), self._base_names(sides[0][0])
            self.pairs.append(Pair(*names, *sides, bool(changes), notes))
        elif after:
            self.added.append(self._new_name(theirs))
        lost = [records[0] for seed, records in before.items() if seed not in after]
        if lost:
            self._lost(ours, theirs, lost)

    def _lost(self, ours: _Variant, theirs: _Variant | None, lost: list[Record]) -> None:
        """Tell what became of finished cells of the baseline, seeds with one fate together."""
        unfinished = self._by_seed(theirs.records if theirs else [])
        fates: dict[tuple[str, str], list[int]] = defaultdict(list)
        for record in lost:
            now = unfinished.get(self._seed(record))
            fate = _fate(now[0]) if now else ("absent", self._absence(record, list(unfinished)))
            fates[fate].append(record.cell.seed)
        name = self._base_name(ours)
        self.gone += [Gone(name, sorted(set(seeds)), *fate) for fate, seeds in fates.items()]

    def _absence(self, record: Record, seeds: list[int]) -> str:
        """Why a cell of the baseline has no counterpart, where the other side has these seeds of it."""
        slug = self._stems.get(record.key, "").rpartition("-")[0]
        if f"{slug}-" in self._waiting:
            return "not run yet"
        there = f"with seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} alone"
        return f"there {there}" if seeds else self._absent

    def _by_seed(self, records: Iterable[Record]) -> dict[int, list[Record]]:
        """Seed -> its records in ascending order of seeds; several if it was run on several machines."""
        found: dict[int, list[Record]] = defaultdict(list)
        for record in sorted(records, key=lambda record: record.cell.seed):
            found[self._seed(record)].append(record)
        return dict(found)

    def _seed(self, record: Record) -> int:
        return 0 if self._seeds_differ else record.cell.seed

    def _base_name(self, variant: _Variant) -> Configuration:
        return self._base_names(variant.records[0])

    def _new_name(self, variant: _Variant) -> Configuration:
        return self._new_names(variant.records[0])


# -- Matching them -------------------------------------------------------------------------------


def _variants(records: Iterable[Record], free: Iterable[str]) -> dict[str, list[_Variant]]:
    """What a reader calls a configuration -> those that go by it, apart by conditions and parameters.

    Args:
        records: of one side.
        free: keys of ``PARTS`` that do not count.
    """
    fields = {"seed", "protocol"}.union(*(PARTS[key][0] for key in free))
    blocks: set[str] = set().union(*(PARTS[key][1] for key in free))
    found: dict[str, dict[str, _Variant]] = defaultdict(dict)
    for record in records:
        identity = json.dumps(record.cell.model_dump(exclude=fields), sort_keys=True)
        # Cells that differ in what does not count are different cells all the same.
        cell = record.cell.model_dump(exclude={"seed", "protocol"})
        conditions = accuracy_conditions(record)
        # Precision is one of the conditions, and those are judged by themselves.
        counted = {key: one for key, one in tuning.by_part(settings(record)).items() if key != "precision"}
        key = json.dumps([cell, counted, conditions], sort_keys=True, default=str)
        if key not in found[identity]:
            params = {key: value for key, value in counted.items() if key not in blocks}
            found[identity][key] = _Variant(conditions, params, [])
        found[identity][key].records.append(record)
    return {identity: list(variants.values()) for identity, variants in found.items()}


def _conditions_differ(changes: Mapping[str, str]) -> str:
    if changes.keys() <= {"precision"}:
        what = "precision differs"
    else:
        what = "other split" if changes.keys() & {"split", "manifest"} else "protocol differs"
    return f"{what}: {_listed(changes)}"


def _same_machine(before: list[Record], after: list[Record]) -> tuple[Record, Record]:
    """One record of either side, from one machine if there is one that both sides ran on; the newest."""

    def preference(both: tuple[Record, Record]) -> tuple[bool, str, str]:
        same = machine(both[0]) == machine(both[1])
        return same, both[1].created, both[0].created

    return max(itertools.product(before, after), key=preference)


def _fate(record: Record) -> tuple[str, str]:
    """Status of an unfinished cell, and why it has no numbers."""
    error = record.error
    if error is None:
        return record.status, record.status
    return record.status, one_line(f"{record.status} in {error.stage}: {error.type}: {error.message}")


def _lonely(seeds: list[int], where: str) -> list[str]:
    named = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return [f"{named} only in {where}"] if seeds else []


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Every entry that is not the same, at any depth: ``{"loss.lr": "0.002 -> 0.001"}``."""
    left, right = dict(_flat(before)), dict(_flat(after))
    return {
        one_line(key): f"{_shown(left, key)} -> {_shown(right, key)}"
        for key in dict.fromkeys((*left, *right))
        if (key in left, left.get(key)) != (key in right, right.get(key))
    }


def _listed(changes: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {change}" for key, change in changes.items())


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        inner = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(inner, dict) and inner:
            leaves = _flat({str(k): v for k, v in inner.items()})
            yield from ((f"{key}.{rest}", leaf) for rest, leaf in leaves)
        else:
            yield key, value


def _shown(flat: Mapping[str, Any], key: str) -> str:
    """A value in few characters; long hashes are cut."""
    if key not in flat:
        return "unset"
    value = flat[key]
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return re.sub(r"([0-9a-f]{12})[0-9a-f]{4,}", r"\1", one_line(text))
