"""What metrics see and what they return."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.types.images import Truth
from bench.types.sizes import ImageSize

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Noise = Literal["exact", "seeded", "timed"]
#: ``diagnostic``: neither gained nor paid; it explains or repeats another number.
MetricRole = Literal["accuracy", "cost", "diagnostic"]
#: ``table``: a column of a report's tables; ``paper``: of those for LaTeX; ``headline``: on top of a cell's
#: page; ``compare``: told by ``compare`` where it is exact and changed.
Place = Literal["table", "paper", "headline", "compare"]
Subject = Literal["codes", "network", "system"]
#: Of embeddings: the cosine of unit vectors, or nearness in Euclidean space.
Similarity = Literal["cosine", "l2"]


@dataclass(frozen=True)
class MetricValue:
    """One number of a record.

    Attributes:
        value: the number, in ``unit``.
        unit: ``""`` for fractions in [0, 1].
        noise: ``exact`` (same code, same number), ``seeded`` (varies with the seed) or ``timed``.
        samples: raw measurements behind a timed value, in ``unit``.
        interval: 95 % interval over queries, where there are queries.
        detail: anything a reader needs to defend the number (counts, conditions).
    """

    value: float
    unit: str
    higher_is_better: bool
    noise: Noise
    samples: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricEntry:
    """What a reader is told of a metric: one entry for all its cuts, batch sizes and variants.

    Attributes:
        name: as records have it, without what follows ``@`` or ``:``.
        title: what a reader calls it; the head of a column.
        unit: as in ``MetricValue``.
        role: whether it is gained, paid, or neither; the axis of charts that it may be.
        noise: as in ``MetricValue``.
        at: what ``@`` in its full names says; empty where they have none.
        main: for an accuracy that cells are judged by, if they have none of those before it in the catalogue:
            how its full name begins, ``map_revisited:medium``.
        beside: name of the accuracy beside which tables show it, too.
        shown: where it has a place of its own.
        judged: whether ``check`` judges it; not what follows from others or what other programs print.
        prefixes: shown in place of the unit, the larger first; the last for all small numbers.
        long_title: in place of the title where it stands alone, as on an axis.
        definition: what it means, a sentence, unless the title says it all; ``{title}`` in it becomes the
            title with cut and variant.
        short_definition: in place of it where there is little room.
    """

    name: str
    title: str
    unit: str
    role: MetricRole
    noise: Noise
    at: Literal["", "rank", "batch"] = ""
    main: str = ""
    beside: str = ""
    shown: tuple[Place, ...] = ()
    judged: bool = True
    prefixes: tuple[Literal["G", "M"], ...] = ()
    long_title: str = ""
    definition: str = ""
    short_definition: str = ""


@dataclass(frozen=True)
class RankingRule:
    """How accuracy is measured: rank cut-off, tie rule, normaliser (see ``bench.hamming``)."""

    k: int | None = None
    ties: Literal["expected", "index", "best", "worst"] = "expected"
    normalizer: Literal["relevant", "min", "hits"] = "relevant"


@dataclass(frozen=True)
class Retrieval:
    """What a metric on codes sees.

    Attributes:
        query, database: packed uint8 codes (q, bits / 8) and (n, bits / 8), compared by Hamming distance;
            or, where ``bits`` is 0, float32 embeddings (q, d) and (n, d), compared by ``similarity``, of
            length 1 for a cosine, or as ``Compression.compared`` makes them.
        query_labels, database_labels: int (n,) or 0/1 (n, classes); or, with None for the database, int
            (q, m): the items that answer each query, -1 where there are fewer.
        query_index, database_index: int64 (q,) and (n,), their places in the data set, for ``truth``.
        features: of images by their places in the data set, int64 (m,) -> float32 (m, width); for metrics
            that need them.
        histograms: of codes, what ``bench.hamming.distance_histograms`` says of them, where somebody keeps it
            for several metrics: int64 (q, distances) twice.
    """

    query: NDArray[Any]
    database: NDArray[Any]
    query_labels: NDArray[Any]
    database_labels: NDArray[Any] | None
    bits: int
    protocol: RankingRule
    query_index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    database_index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    truth: Truth | None = None
    similarity: Similarity = "cosine"
    features: Callable[[NDArray[np.int64]], NDArray[np.float32]] | None = None
    histograms: Callable[[], tuple[NDArray[np.int64], NDArray[np.int64]]] | None = None


@dataclass(frozen=True)
class Deployment:
    """What a metric on a network sees: the net that would be shipped, trunk and hash head.

    Attributes:
        net: eval mode, on ``device``; a metric must leave it unchanged.
        image_size: of the input, see ``ImageSize``.
        precision: ``fp32``, or ``bf16`` for autocast.
        bits: length of the codes it makes; 0 for a network whose feature is the embedding.
        original: the same net before step 1 pruned it; None where it did not.
        stored_bits: of an image, where its feature is compressed behind the network, for metrics that tell of
            it; else 0.
    """

    net: nn.Module
    image_size: ImageSize
    device: torch.device
    precision: Literal["fp32", "bf16"]
    bits: int
    original: nn.Module | None = None
    stored_bits: int = 0


@dataclass(frozen=True)
class System:
    """What a metric sees that deploys the trained network in another way and asks what that costs.

    Attributes:
        deployment: the trained network.
        retrieval: its codes and their labels.
        batches: the images of ``"query"``, ``"database"`` or ``"train"`` in the evaluation view, in the
            order of the codes, as float32 (n, 3, s, s) batches on the deployment's device.
    """

    deployment: Deployment
    retrieval: Retrieval
    batches: Callable[[str], Iterator[Tensor]]


@dataclass(frozen=True)
class Measurement:
    """What a metric returns.

    Attributes:
        values: numbers for the record.
        per_query: arrays to keep, float64 (q, ...) by query.
        warnings: what a reader must know to trust the cell's numbers, the same sentence wherever it holds.
    """

    values: dict[str, MetricValue]
    per_query: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def no_number(self) -> str:
        """The first value that is none, as ``share: nan``; whatever is compared with it would be fine."""
        for full, value in self.values.items():
            if not all(map(math.isfinite, (value.value, *value.samples, *(value.interval or ())))):
                return f"{full}: {value.value}"
        return ""
