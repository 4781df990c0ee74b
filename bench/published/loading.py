"""``*.yaml`` beside this file -> Published: every figure with source and protocol, and what was not found.

Strict as a grid: every fault at once with file:line:col.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from bench.errors import ConfigError, did_you_mean
from bench.planning import yaml_nodes, yaml_text
from bench.planning.grid_faults import Fault, faults
from bench.planning.schema import Strict
from bench.results import catalogue
from bench.results.published import SHARES, Count, Figure, NotFound, Published, Selection
from bench.types.sizes import Between, ImageSize

#: Where the figures lie.
FOLDER = Path(__file__).parent

Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(ge=0, le=1e15)]
Share = Annotated[float, Field(ge=-1, le=1)]
Whole = Annotated[int, Field(ge=0, le=10_000)]
Size = Annotated[ImageSize, Between(0, 10_000)]


class Source(Strict):
    """Who says so: ``url`` with the revision that was read, where it has one."""

    title: Text
    url: Text
    revision: str = ""


class Protocol(Strict):
    """On which data, by which metric; names are the suite's, null where it has none."""

    dataset: str | None = Field(description="name in the suite; null = not here")
    settings: dict[str, Any] = Field(default_factory=dict, description="parameters that lead to the split")
    split: str = Field("", description="pattern of the split's names in records")
    metric: str = Field(
        "",
        description="map@k without rule, which a table adds; empty where values name their metrics in full",
    )


class Row(Strict):
    """One configuration; what it leaves out is the table's."""

    system: Text
    values: dict[str, Number | dict[str, Number]] = Field(
        min_length=1, description="by protocol; of one without a metric, by metric"
    )
    costs: dict[str, Number] = Field(default_factory=dict, description="by metric")
    network: Text | None = None
    student: str | None = None
    method: str | None = None
    loss: str | None = None
    bits: Whole | None = None
    epochs: Whole | None = None
    note: str = ""


class Table(Strict):
    """Rows of one source that share what is said here."""

    source: Text
    where: Text = Field(description="in the source")
    network: str = ""
    student: str = Field("", description="pattern of the network's names in the suite")
    method: str = Field("", description="name in the suite")
    loss: str = Field("", description="name in the suite")
    bits: Whole = 0
    image_size: Size = Field(
        0, description="of the network's input, pixels: a side, or height and width as 320x160; 0 = not known"
    )
    epochs: Whole = Field(0, description="of the training; 0 = not known")
    rule: Literal["index:hits", "unknown"] = Field(
        "unknown", description="tie rule and normaliser of its mAP; index:hits = DeepHash's evaluator"
    )
    selection: Selection = Field("unknown", description="how the epoch was chosen")
    note: str = ""
    rows: list[Row] = Field(min_length=1)


class CountRow(Strict):
    """What a network costs, counted."""

    network: Text
    source: Text
    where: Text
    student: str = ""
    bits: Whole = 0
    image_size: Size = 0
    inputs: Whole = Field(0, description="of the hash layer")
    costs: dict[str, Share | Number] = Field(min_length=1)
    method: str = Field("", description="name in the suite of the method that it is of")
    note: str = ""


class Missing(Strict):
    """What was looked for in vain."""

    method: Text = Field(description="name in the suite")
    system: Text
    what: Text
    where: Text


class PublishedFile(Strict):
    """One file of figures."""

    file_schema: Literal[1] = Field(alias="schema", description="version of this file format")
    sources: dict[str, Source] = Field(min_length=1)
    protocols: dict[str, Protocol] = Field(
        default_factory=dict, description="by data set and split as the sources call them"
    )
    tables: list[Table] = Field(default_factory=list)
    counts: list[CountRow] = Field(default_factory=list)
    not_found: list[Missing] = Field(default_factory=list)


def load_published(folder: Path = FOLDER) -> Published:
    """Read and check all files of ``folder``, in the order of their names.

    Raises:
        UsageError: one cannot be read.
        ConfigError: every fault of one.
    """
    files = [_load(path) for path in sorted(folder.glob("*.yaml"))]
    return Published(
        figures=[figure for file in files for figure in _figures(file)],
        counts=[count for file in files for count in _counts(file)],
        not_found=[NotFound(**missing.model_dump()) for file in files for missing in file.not_found],
    )


def _load(path: Path) -> PublishedFile:
    document = yaml_nodes.parse(yaml_text.read(path, "published figures", "a file"), str(path))
    if not isinstance(document.value, dict):
        shape = document.problem((), "published figures are a mapping; see bench/published/deephash.yaml")
        raise ConfigError([*document.problems, shape])
    try:
        file = PublishedFile.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        found = [document.problem(*fault) for fault in faults(error, PublishedFile)]
        raise ConfigError([*document.problems, *found]) from error
    if problems := [*document.problems, *(document.problem(*fault) for fault in _unknown(file))]:
        raise ConfigError(problems)
    return file


def _unknown(file: PublishedFile) -> Iterator[Fault]:
    """Names that stand for nothing."""
    for name, protocol in file.protocols.items():
        if protocol.metric:
            yield from _metric(("protocols", name, "metric"), protocol.metric)
    for i, table in enumerate(file.tables):
        yield from _named(("tables", i, "source"), "source", table.source, file.sources)
        for j, row in enumerate(table.rows):
            at = ("tables", i, "rows", j)
            for name, value in row.values.items():
                yield from _value((*at, "values", name), file.protocols, name, value)
            for name in row.costs:
                yield from _metric((*at, "costs", name, yaml_nodes.KEY), name)
            if not (row.network or table.network):
                yield at, f"'{row.system}' has no network; name it here or in its table"
    for i, count in enumerate(file.counts):
        yield from _named(("counts", i, "source"), "source", count.source, file.sources)
        for name in count.costs:
            yield from _metric(("counts", i, "costs", name, yaml_nodes.KEY), name)


def _value(
    at: yaml_nodes.Path, known: dict[str, Protocol], name: str, value: float | dict[str, float]
) -> Iterator[Fault]:
    """What is wrong with a row's numbers by one protocol."""
    if name not in known:
        yield from _named((*at, yaml_nodes.KEY), "protocol", name, known)
    elif isinstance(value, dict) == bool(known[name].metric):
        wanted = "a number" if known[name].metric else "numbers by metric, as the protocol has none"
        yield at, f"{name} should be {wanted}"
    for metric in value if isinstance(value, dict) else ():
        yield from _metric((*at, metric, yaml_nodes.KEY), metric)


def _named(place: yaml_nodes.Path, what: str, name: str, known: dict[str, Any]) -> Iterator[Fault]:
    if name not in known:
        hint = did_you_mean(name, known) or f" (known: {', '.join(known)})"
        yield place, f"unknown {what} '{name}'{hint}"


def _metric(place: yaml_nodes.Path, name: str) -> Iterator[Fault]:
    known = [*(entry.name for entry in catalogue.entries()), *SHARES]
    base = catalogue.base_name(name)
    if base not in known:
        yield place, f"no metric gives '{name}'{did_you_mean(base, known)}"


def _figures(file: PublishedFile) -> Iterator[Figure]:
    for table in file.tables:
        source = _said(file.sources[table.source], table.where)
        for row in table.rows:
            own = row.model_dump(exclude={"system", "values", "costs", "note"}, exclude_none=True)
            shared = ("network", "student", "method", "loss", "bits", "epochs")
            facts = {name: getattr(table, name) for name in shared}
            for name, value in row.values.items():
                protocol = file.protocols[name]
                by_metric = value if isinstance(value, dict) else {_full(protocol.metric, table.rule): value}
                yield Figure(
                    system=row.system,
                    data=name,
                    dataset=protocol.dataset or "",
                    settings=protocol.settings,
                    split=protocol.split,
                    values={**by_metric, **row.costs},
                    image_size=table.image_size,
                    selection=table.selection,
                    source=source,
                    url=file.sources[table.source].url,
                    note="; ".join(filter(None, [row.note, table.note])),
                    **{**facts, **own},
                )


def _full(metric: str, rule: str) -> str:
    plain = catalogue.base_name(metric) == "map" and ":" not in metric
    return f"{metric}:{rule}" if plain and rule != "unknown" else metric


def _counts(file: PublishedFile) -> Iterator[Count]:
    for row in file.counts:
        facts = row.model_dump(exclude={"source", "where"})
        yield Count(source=_said(file.sources[row.source], row.where), **facts)


def _said(source: Source, where: str) -> str:
    return f"{source.title}{f' ({source.revision})' if source.revision else ''}, {where}"
