"""Stage ``measure``: one metric of one subject: a cell's codes, the network it deploys, or both."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from torch import Tensor, nn

from bench.data.loading import LoadedDataset
from bench.errors import CellError
from bench.hamming import MEMORY_MB, cross_check
from bench.interfaces import Metric
from bench.planning.stage import SCORES_FILE, TRUNK, Stage
from bench.registry import METRICS
from bench.stages import networks, trunk
from bench.stages.context import Context
from bench.stages.encode import read
from bench.stages.memory import Needs
from bench.stages.sides import counted_once, on_each_side, sides
from bench.training import views
from bench.types import Deployment, RankingRule, Retrieval, System
from models.layers.heads import deployed_network

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write per-query values where the metric has them; the numbers are in the artifact's summary."""
    spec = stage.spec
    plugin = METRICS.get(spec["metric"]["name"])
    params = plugin.Params.of(spec["metric"]["params"])
    subject: Any = _SUBJECTS[plugin.subject](stage, context)
    # Interfaces need not be inherited from.
    sided = _codes(stage, context).sides if getattr(plugin, "by_side", Metric.by_side) else {}
    apart = {side: dataclasses.replace(part, features=subject.features) for side, part in sided.items()}
    measurement = on_each_side(plugin(params).compute, subject, apart)
    if measurement.no_number:
        raise CellError(f"metric {spec['metric']['name']} found no number for {measurement.no_number}")
    if measurement.per_query:
        arrays = {name: np.asarray(values, np.float64) for name, values in measurement.per_query.items()}
        save_file(arrays, folder / SCORES_FILE)
    values = {name: dataclasses.asdict(value) for name, value in measurement.values.items()}
    warnings = {"warnings": list(measurement.warnings)} if measurement.warnings else {}
    return {"values": values, "per_query": sorted(measurement.per_query), **warnings}


def memory(stage: Stage, needs: Needs) -> float:
    """Codes and their distances, and features and pieces of them; a network is measured with a few images."""
    encode, source = stage.inputs.get("encode"), stage.inputs.get(TRUNK)
    ranked = needs.ranked(encode) if encode else 0.0
    return ranked + (trunk.held(source, needs, source.images) + 1e6 * MEMORY_MB if source else 0.0)


class _Codes:
    """Codes and labels of a cell, checked once, and their distances, counted once, for all of its metrics."""

    def __init__(self, stage: Stage, encode: Stage, dataset: LoadedDataset, context: Context) -> None:
        codes, labels, parts = read(stage, encode, context), dataset.images.labels, dataset.splits
        rule, bits = dict(stage.spec["protocol"]), networks.code_length(stage)
        if bits:
            cross_check(codes["query"], codes["database"], bits=bits)
        self.whole = counted_once(
            Retrieval(
                query=codes["query"],
                database=codes["database"],
                query_labels=labels[parts.query],
                database_labels=labels[parts.database],
                bits=bits,
                protocol=RankingRule(**{**rule, "k": None if rule.get("k") == "all" else rule.get("k")}),
                query_index=parts.query,
                database_index=parts.database,
                truth=dataset.images.truth,
            )
        )
        self.sides = sides(self.whole, parts.unseen)


def _codes(stage: Stage, context: Context) -> _Codes:
    spec, encode = stage.spec, stage.inputs["encode"]
    dataset = context.dataset(spec["dataset"])
    rule = json.dumps(spec["protocol"], sort_keys=True)
    which = encode.key, dataset.manifest_hash, networks.code_length(stage), rule
    found: _Codes = context.kept("codes", which, lambda: _Codes(stage, encode, dataset, context))
    return found


def _retrieval(stage: Stage, context: Context) -> Retrieval:
    """The codes of a cell, with the features that the stage reads beside them, if it does."""
    whole, features = _codes(stage, context).whole, trunk.features_for(stage, context)
    if features is None:
        return whole
    return dataclasses.replace(whole, features=lambda places: features.of(places).numpy())


def _deployment(stage: Stage, context: Context) -> Deployment:
    """A network with the right architecture; no cost depends on the values of its weights."""
    spec, trained = stage.spec, networks.taken_up(stage)
    student, size = context.student(spec["student"]), spec["image_size"]

    def headed(trunk: nn.Module, width: int) -> nn.Module:
        classes = spec.get("head", {}).get("classes", 0)
        net = deployed_network(trunk, width, spec["bits"], classes) if spec["bits"] else trunk
        return networks.seeing(net, spec).to(context.device).eval()

    whole = networks.unpruned(student, size, trained, context) if trained else None
    return Deployment(
        net=headed(*networks.untrained(student, size, trained, context)),
        image_size=size,
        device=context.device,
        precision=spec["precision"],
        bits=spec["bits"],
        original=headed(*whole) if whole else None,
        stored_bits=spec.get("stored_bits", 0),
    )


def _system(stage: Stage, context: Context) -> System:
    encode = stage.inputs["encode"]
    spec, dataset = encode.spec, context.dataset(stage.spec["dataset"])
    net, preprocessing = networks.deployed(encode, context, stage.spec.get("first_bits"))
    parts = {part: getattr(dataset.splits, part) for part in ("query", "database", "train")}

    def batches(part: str) -> Iterator[Tensor]:
        source, crops = context.source(dataset.images), views.centre_crops(dataset.images)
        return views.batches(source, parts[part], crops, preprocessing, spec["image_size"])

    retrieval = _retrieval(stage, context)
    deployment = Deployment(net, spec["image_size"], context.device, spec["precision"], retrieval.bits)
    return System(deployment, retrieval, batches)


_SUBJECTS = {"codes": _retrieval, "network": _deployment, "system": _system}
