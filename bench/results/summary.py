"""What tables and charts show: records summarised over seeds, side by side only where comparable."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from scipy.special import stdtrit

from bench.results import catalogue, comparable, wording
from bench.results.folder import Results
from bench.results.names import Configuration, Names, Teacher, is_teacher, teachers_of
from bench.results.records import EXTERNAL, Measured, Record
from bench.results.seedless import seedless
from bench.results.sides import SIDES, apart, with_side
from bench.results.wording import assignments, one_line
from bench.types.sizes import ImageSize, area

Role = Literal["teacher", "undistilled", "distilled", "external"]


@dataclass(frozen=True)
class Estimate:
    """A metric of one configuration: mean and 95 % interval.

    Attributes:
        value: mean over seeds.
        interval: over seeds (Student's t), or over queries where there is one seed, within what the metric
            can be; None for metrics that seeds do not change.
        n: number of seeds.
        by_seed: what was averaged; empty where seeds change nothing, and of one seed.
        settled: whether other seeds would have given the same, so that an interval over queries is all of it.
    """

    value: float
    interval: tuple[float, float] | None
    n: int
    by_seed: tuple[float, ...] = ()
    settled: bool = False

    @property
    def half_width(self) -> float | None:
        """Half the length of the interval."""
        return None if self.interval is None else (self.interval[1] - self.interval[0]) / 2

    def spread(self, divisor: float = 1.0, places: int = 3) -> str:
        """The interval behind a number in another unit: `` ± 0.012``, or its ends where a bound cuts it."""
        if self.interval is None or self.half_width is None:
            return ""
        low, high = self.interval
        # Intervals over seeds are symmetric by themselves.
        if self.n > 1 and not math.isclose(high - self.value, self.value - low, rel_tol=1e-6):
            return f" [{low / divisor:.{places}f}, {high / divisor:.{places}f}]"
        return f" ± {self.half_width / divisor:.{places}f}"

    def over(self, divisor: float) -> Estimate:
        """The same in another unit."""
        low_high = self.interval and (self.interval[0] / divisor, self.interval[1] / divisor)
        by_seed = tuple(one / divisor for one in self.by_seed)
        return replace(self, value=self.value / divisor, interval=low_high, by_seed=by_seed)

    def above(self, other: Estimate) -> bool:
        """Whether this interval lies wholly above the other's, both being over all that there is to draw.

        Two seeds tell nothing: two that happen to agree would have an interval of no length.
        """
        if self.interval is None or other.interval is None or 2 in (self.n, other.n):
            return False
        if (self.n == 1) != (other.n == 1) and not (self.settled or other.settled):
            return False
        return self.interval[0] > other.interval[1]


@dataclass(frozen=True)
class Row:
    """One line of a table, one point of a chart.

    Attributes:
        role: ``teacher`` is the upper reference, ``undistilled`` (method ``none``) the lower one, and
            ``external`` was measured elsewhere.
        records: the finished cells behind it, by seed.
        estimates: by full metric name.
        metrics: one record's metrics, for units, directions and conditions.
        image_size: of the network's input; 0 where nobody knows.
        warned: whether a record carries a warning, which is one about its accuracies.
        older: records of seeds that were run again, which count no more.
        binary: whether codes are compared by Hamming distance; no floats, and nothing read back as such.
    """

    configuration: Configuration
    role: Role
    records: list[Record]
    estimates: dict[str, Estimate]
    metrics: dict[str, Measured]
    image_size: ImageSize = 0
    warned: bool = False
    older: list[Record] = field(default_factory=list)
    binary: bool = True

    @property
    def seeds(self) -> int:
        """Number of finished cells behind it."""
        return len(self.records)

    def doubt(self, name: str) -> str:
        """The mark behind the metric ``name``, see ``wording.doubt``."""
        if name not in self.metrics:
            return ""
        metric = self.metrics[name]
        return wording.doubt(metric) or (wording.WARNED if self.warned and metric.noise == "seeded" else "")


@dataclass(frozen=True)
class Group:
    """Rows that may be ranked against each other.

    Attributes:
        protocol: the cells' protocol, without empty entries.
        conditions: machine and precision, in words.
        slug: names the group in a file name; unique among the groups of one report.
    """

    dataset: str
    protocol: dict[str, Any]
    conditions: str
    slug: str
    rows: list[Row]

    @property
    def limited(self) -> bool:
        """Whether the cells saw only a part of the data, so that nothing may be ranked."""
        return comparable.limited(self.protocol)

    @property
    def title(self) -> str:
        """Data set, machine and precision."""
        mark = " (limited, not comparable)" if self.limited else ""
        return f"{self.dataset} · {self.conditions}{mark}"

    @property
    def facts(self) -> dict[str, Any]:
        """What tells the group from others of its data set: settings, protocol, machine and precision."""
        return comparable.table_facts(self.rows[0].records[0])

    @property
    def protocol_words(self) -> str:
        """The protocol in one line."""
        return assignments(self.protocol)

    @property
    def image_sizes(self) -> list[ImageSize]:
        """The known sizes of the networks' inputs, ascending; one where all rows have the same."""
        return sorted({row.image_size for row in self.rows if row.image_size}, key=area)

    @functools.cached_property
    def metrics(self) -> dict[str, Measured]:
        """One record's worth of every metric in the group, for units, directions and conditions."""
        return {name: metric for row in reversed(self.rows) for name, metric in row.metrics.items()}

    def resolve(self, name: str) -> str | None:
        """The full name of ``name``: ``map`` and ``map@all`` find ``map@all:expected:relevant``."""
        return catalogue.full_name(name, self.metrics)

    @property
    def accuracy(self) -> str | None:
        """The full name of the accuracy by which the group is judged."""
        return self.resolve("map")

    @property
    def further_accuracies(self) -> list[str]:
        """The other scores of a protocol that has several, such as easy and hard, seen and unseen classes.

        Of mAPs after rescoring it is that of most images: a column for each would be many.
        """
        if (main := self.accuracy) is None:
            return []
        by_side = [name for side in SIDES if (name := with_side(main, side)) in self.metrics]
        others = [name for name in catalogue.beside(main, self.metrics) if not apart(name)[1]]
        rescored = [name for name in others if catalogue.base_name(name) == "map_rescored"]
        most = max(rescored, key=lambda name: int(name.partition("@")[2]), default=None)
        return by_side + [name for name in others if name not in rescored or name == most]

    def rows_with(self, *names: str) -> list[Row]:
        """The rows that have every one of these metrics (full names)."""
        return [row for row in self.rows if all(name in row.estimates for name in names)]


@dataclass(frozen=True)
class Unfinished:
    """A cell without numbers, and why."""

    configuration: Configuration
    seed: int
    status: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """Everything that a report shows of one results folder."""

    name: str
    groups: list[Group]
    unfinished: list[Unfinished]
    missing: list[str]


def summarise(results: Results) -> Summary:
    """Sort the records of ``results`` into comparable groups and average them over seeds."""
    name = Names(results.records)
    teachers = teachers_of(results.records)
    groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    unfinished = []
    # What was measured elsewhere comes last, and joins all groups that it may stand in.
    for record in sorted(results.records, key=lambda record: record.status == EXTERNAL):
        if record.finished:
            for key in _groups_of(record, groups):
                groups[key][_row_key(record)].append(record)
        else:
            unfinished.append(Unfinished(name(record), record.cell.seed, record.status, _reason(record)))

    summarised = []
    for key, rows in groups.items():
        first = next(iter(rows.values()))[0]
        summarised.append(
            Group(
                dataset=name(first).dataset,
                protocol=comparable.protocol(first),
                conditions=_conditions(first),
                slug=hashlib.sha256(key.encode()).hexdigest()[:6],
                rows=sorted(
                    (row_of(*placed(same[0], name, teachers), same) for same in rows.values()),
                    key=lambda row: (row.role == "teacher", row.configuration),
                ),
            )
        )
    summarised.sort(
        key=lambda group: (wording.natural(group.dataset), group.limited, group.conditions, group.slug)
    )
    slugs = readable_slugs([(group.dataset, group.slug) for group in summarised])
    return Summary(
        name=one_line(results.name),
        groups=[replace(group, slug=slug) for group, slug in zip(summarised, slugs, strict=True)],
        unfinished=sorted(unfinished, key=lambda cell: (cell.configuration, cell.seed)),
        missing=[one_line(slug) for slug in results.missing],
    )


def placed(record: Record, name: Names, teachers: set[Teacher]) -> tuple[Role, Configuration]:
    """What a cell is to others, and its configuration as tables call it; ``teachers`` are ``teachers_of``."""
    configuration = name(record)
    if record.status == EXTERNAL:
        return "external", configuration
    if is_teacher(record, teachers):
        return "teacher", replace(configuration, student=f"{configuration.student} (teacher)")
    return "undistilled" if record.cell.method == "none" else "distilled", configuration


def estimate(name: str, metrics: list[Measured]) -> Estimate:
    """Mean and 95 % interval of the metric with the full name ``name`` over the seeds of a configuration."""
    values = [metric.value for metric in metrics]
    n = len(values)
    mean = math.fsum(values) / n
    # Cells that deploy one architecture share one timing, so their seeds say nothing about its spread.
    if metrics[0].noise != "seeded":
        return Estimate(mean, None, n)
    if n == 1:
        return Estimate(mean, metrics[0].interval, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(stdtrit(n - 1, 0.975)) * deviation / math.sqrt(n)
    least, most = catalogue.bounds(name, metrics[0].unit) or (-math.inf, math.inf)
    # A value outside of its bounds, by rounding or by a plug-in's own idea of them, stays in its interval.
    interval = max(mean - half, min(least, mean)), min(mean + half, max(most, mean))
    return Estimate(mean, interval, n, tuple(values))


def interval_words(estimates: Iterable[Estimate]) -> str:
    """What the intervals of ``estimates`` are over; empty if there are none."""
    counts = {one.n for one in estimates if one.interval is not None}
    seeds = sorted(counts - {1})
    parts = []
    if seeds:
        n = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        parts.append(f"over seeds (Student's t, n = {n})")
    if 1 in counts:
        parts.append("over queries where there is one seed" if seeds else "over queries (one seed)")
    words = f"95 % interval {' and '.join(parts)}" if parts else ""
    return f"{words}; {wording.TWO_SEEDS}" if 2 in counts else words


def row_of(role: Role, configuration: Configuration, same: list[Record]) -> Row:
    """The row of ``same``, the finished cells of one configuration, at least one."""
    # A seed that was run again on such a machine is no second seed: the newest record counts.
    newest = {record.cell.seed: record for record in sorted(same, key=lambda record: record.created)}
    records = [newest[seed] for seed in sorted(newest)]
    metrics = {name: metric for record in reversed(records) for name, metric in record.metrics.items()}
    settled = len(records) == 1 and seedless(records[0])
    found = {
        name: estimate(name, [record.metrics[name] for record in records if name in record.metrics])
        for name in metrics
    }
    return Row(
        configuration=configuration,
        role=role,
        records=records,
        estimates={name: replace(one, settled=settled) for name, one in found.items()},
        metrics=metrics,
        image_size=records[0].cell.image_size,
        warned=any(record.warnings for record in records),
        older=[record for record in same if record is not newest[record.cell.seed]],
        binary=records[0].cell.bits > 0 and not records[0].reads_back,
    )


# -- What belongs together -----------------------------------------------------------------------


def _groups_of(record: Record, groups: Mapping[str, Mapping[str, list[Record]]]) -> list[str]:
    """The keys of the groups that a finished record belongs to; ``groups`` are those that there are."""
    if record.status == EXTERNAL:
        firsts = {key: next(iter(rows.values()))[0] for key, rows in groups.items()}
        if joined := [key for key, first in firsts.items() if comparable.may_join(record, first)]:
            return joined
    return [_group_key(record)]


def _group_key(record: Record) -> str:
    return _canonical(record.cell.dataset, comparable.table_facts(record))


def _row_key(record: Record) -> str:
    return _canonical(record.cell.model_dump(exclude={"seed"}), comparable.settings(record))


def _canonical(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True, default=str)


def _conditions(record: Record) -> str:
    if record.status == EXTERNAL:
        return wording.ELSEWHERE
    hardware = comparable.hardware(record)
    on_gpu = str(hardware["device"]).startswith("cuda")
    machine = hardware["gpu" if on_gpu else "cpu"] or "unknown machine"
    how = comparable.waiting(record)
    waiting = f"OMP_WAIT_POLICY={how}" if how else None
    parts = (machine, wording.threads(hardware["threads"]), comparable.precision(record), waiting)
    return " · ".join(one_line(part) for part in parts if part)


def readable_slugs(named: Sequence[tuple[str, str]]) -> list[str]:
    """Names for files: of each pair the first, with the second, some of a hash, where that is not enough."""
    names = [re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "group" for name, _ in named]
    count = Counter(name.lower() for name in names)
    return [
        name if count[name.lower()] == 1 else f"{name}-{digest}"
        for name, (_, digest) in zip(names, named, strict=True)
    ]


def _reason(record: Record) -> str:
    error = record.error
    return one_line(f"{error.stage}: {error.type}: {error.message}") if error else ""
