"""What a grid may say: one class a mapping, from which the JSON Schema for editors is made, too."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bench.errors import shortened
from bench.results.entries import DEFAULT_CHARTS
from bench.types import DistillationParameters, EncodingParameters, HashingParameters, Seed
from bench.types.parameters import MOST_WHOLE
from bench.types.sizes import Between, ImageSize

#: Version of grid files, of which this module reads no other.
GRID_SCHEMA = 1


FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Strict(BaseModel):
    """A mapping of a file that people write: no other keys, no other types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_list(value: Any) -> Any:
    """A single value where a list is meant is a list of one."""
    return value if isinstance(value, list) else [value]


def _as_entry(value: Any) -> Any:
    if not isinstance(value, str | dict):
        message = f"write a name, or {{name: ..., params: {{...}}}}, not {json.dumps(value)}"
        raise ValueError(message)  # noqa: TRY004  (pydantic takes no TypeError)
    return {"name": value} if isinstance(value, str) else value


def _as_folder(value: str) -> str:
    if not re.fullmatch(FOLDER_NAME, value):
        raise ValueError(
            "name should be up to 100 letters, digits, '.', '_' and '-', a letter or digit first, not "
            f"'{shortened(value, 60)}': it names the results folder"
        )
    return value


class NamedPlugin(Strict):
    """A plug-in and its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


Entry = Annotated[NamedPlugin, BeforeValidator(_as_entry)]


Entries = Annotated[list[Entry], BeforeValidator(_as_list), Field(min_length=1)]


Teachers = Annotated[list[Entry], BeforeValidator(_as_list), Field(min_length=1)]


Bits = Annotated[int, Field(ge=1, le=4096)]


def _ascending(value: list[int]) -> list[int]:
    if len(set(value)) < len(value):
        raise ValueError(f"lengths of one network should differ, not {value}")
    return sorted(value)


#: One code length, or several of one network: each is the beginning of the next.
Lengths = Annotated[
    list[Bits],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=16),
    AfterValidator(_ascending),
]

BitsAxis = Annotated[
    list[Lengths],
    BeforeValidator(_as_list),
    Field(
        min_length=1,
        description="a list inside the list is one network, the first bits of whose codes are codes, too",
    ),
]


InputSize = Annotated[ImageSize, Between(16, 2048)]


def _no_teacher() -> list[list[NamedPlugin]]:
    return [[]]


class Axes(Strict):
    """The full product of these lists; an entry is a name, or a name with params."""

    dataset: Entries
    teacher: Annotated[list[Teachers], BeforeValidator(_as_list), Field(min_length=1)] = Field(
        default_factory=_no_teacher,
        description="a list inside the list is several teachers at once; for methods that take none, no key",
    )
    student: Entries
    method: Entries
    loss: Entries
    bits: BitsAxis
    seed: Annotated[list[Seed], BeforeValidator(_as_list), Field(min_length=1)] = [0]


class Overlay(Strict):
    """Extra cells: the axes with some of them replaced, and on wish seen in another size or other views."""

    dataset: Entries | None = None
    teacher: Annotated[list[Teachers], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    student: Entries | None = None
    method: Entries | None = None
    loss: Entries | None = None
    bits: BitsAxis | None = None
    seed: Annotated[list[Seed], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    image_size: InputSize | None = None
    encode: EncodingParameters | None = None


class Match(Strict):
    """Cells to leave out: all that agree with every key given."""

    dataset: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    teacher: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    student: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    method: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    loss: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    bits: Annotated[list[int], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    seed: Annotated[list[int], BeforeValidator(_as_list), Field(min_length=1)] | None = None


class Defaults(Strict):
    """Settings that all cells share."""

    image_size: InputSize = Field(
        224, description="input of the student: its side in pixels, or height and width as 320x160"
    )
    precision: Literal["fp32", "bf16"] = "fp32"
    distill: DistillationParameters = Field(
        DistillationParameters(), description="for every method that trains"
    )
    finetune: HashingParameters = Field(HashingParameters(), description="for every loss")
    encode: EncodingParameters = Field(
        EncodingParameters(), description="how networks see images when codes or embeddings are made"
    )


class RankingProtocol(Strict):
    """How mAP is computed; see ``bench.hamming``. ``k: null`` is the data set's own cut-off."""

    k: Annotated[int, Field(ge=1, le=MOST_WHOLE)] | Literal["all"] | None = None
    ties: Literal["expected", "index", "best", "worst"] = "expected"
    normalizer: Literal["relevant", "min", "hits"] = "relevant"


#: Of which cells networks and codes are copied from the cache to the results.
Keep = Literal["none", "front", "all"]


def _as_quoted(value: Any) -> Any:
    """``map: [unseen]`` and ``{map: [unseen]}`` are mappings to YAML."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, side),) = value.items()
        if isinstance(side, list) and len(side) == 1 and isinstance(side[0], str):
            raise ValueError(f'what has brackets in itself takes quotes: write "{name}[{side[0]}]"')
    return value


#: The name of a metric, as an axis of a chart.
Axis = Annotated[str, BeforeValidator(_as_quoted)]


class ReportOptions(Strict):
    """What results show and keep: pairs to chart, accuracy first; queries with their results."""

    pareto: Annotated[
        list[Annotated[list[Axis], Field(min_length=2, max_length=2)]], Field(max_length=100)
    ] = [*map(list, DEFAULT_CHARTS)]
    curves: Annotated[
        list[Annotated[list[Axis], Field(min_length=2, max_length=2)]], Field(max_length=100)
    ] = Field(
        [],
        description="charts of an accuracy over a number that differs between cells: bits, image_size, or a "
        "parameter as in dataset.train_per_class, student.X, method.X, loss.X, teacher.X",
    )
    examples: int = Field(
        8, ge=0, le=50, description="queries whose first results are kept as pictures; 0 = no pictures"
    )
    keep: Keep = Field(
        "none",
        description="cells whose networks and codes are copied from the cache to the results, so that export "
        "needs no cache: those on the fronts of the charts and the recommended ones, or all",
    )


Spaces = dict[str, dict[str, Annotated[list[Any], Field(min_length=2, max_length=100)]]]


class SearchSpaces(Strict):
    """What is searched in place of what plug-ins declare: name of the plug-in -> parameter -> range."""

    loss: Spaces = Field(
        default_factory=dict,
        description="a range is [low, high, log] or [low, high, linear]; any other list are values to choose "
        "from. What is named here for a loss takes the place of all that it declares",
    )
    method: Spaces = Field(default_factory=dict, description="the same of methods, where they are searched")


def _in_order(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("name each of method and loss once")
    return sorted(value, reverse=True)


class Tune(Strict):
    """Every loss that trains is tuned on the validation images, all with the same budget; methods on wish."""

    of: Annotated[
        list[Literal["method", "loss"]],
        BeforeValidator(_as_list),
        Field(min_length=1),
        AfterValidator(_in_order),
    ] = Field(
        ["loss"],
        description="what is searched: loss, step 2 behind a step 1 that all trials share; [method, loss], "
        "both at once, each trial with a step 1 of its own; method, step 1 alone, with losses as they are",
    )
    trials: int = Field(16, ge=2, le=1024, description="trainings of a study, each at a point of the space")
    studies: int = Field(
        3, ge=1, le=32, description="tunings of their own; a cell takes the winner of study seed mod studies"
    )
    sampler: Literal["quasirandom", "optuna"] = Field(
        "quasirandom",
        description="quasirandom: scrambled Sobol points; trial i of study s is the same in every grid. "
        "optuna, of losses alone: each trial is drawn from what those before it have found",
    )
    epochs_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="of the epochs of what is searched that a trial trains for, rounded; one or more",
    )
    space: SearchSpaces = SearchSpaces()


class Grid(Strict):
    """One benchmark grid, checked; see ``bench/grids`` for examples."""

    grid_schema: Literal[1] = Field(alias="schema", description="version of this file format")
    max_cells: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="the axes may not multiply to more; planning takes a few seconds for a thousand",
    )
    name: Annotated[str, AfterValidator(_as_folder), Field(json_schema_extra={"pattern": FOLDER_NAME})] = (
        Field(description="names the results folder")
    )
    description: str = ""
    defaults: Defaults = Defaults()
    axes: Axes
    exclude: list[Match] = []
    include: list[Overlay] = []
    protocol: RankingProtocol = RankingProtocol()
    tune: Tune | None = Field(
        None,
        description="search parameters of every loss on validation images first; null: take them as given",
    )
    measure: dict[str, dict[str, Any] | Literal[False]] = Field(
        default_factory=dict, description="metric -> its params; false leaves a default metric out"
    )
    report: ReportOptions = ReportOptions()


def json_schema() -> dict[str, Any]:
    """JSON Schema of grid files, for editors; shipped as ``bench/grids/grid.schema.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Grid.model_json_schema(by_alias=True),
    }
