"""Stage ``encode``: the trained network turns query and database images into codes or embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.data.loading import LoadedDataset
from bench.errors import CellError
from bench.hamming import first_bits, pack_signs
from bench.planning.stage import TRUNK, Stage
from bench.stages import compressing, networks
from bench.stages.context import Context
from bench.stages.embedding import embed
from bench.stages.memory import Needs
from bench.stages.trunk import features_for
from bench.training import views
from bench.types import Preprocessing
from models.layers.folding import folded

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 3

#: Content of the artifact: ``query`` and ``database``.
CODES = "codes.safetensors"


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write packed codes, uint8 (n, ceil(bits / 8)); without step 2, unit embeddings, float32 (n, d).

    Of codes that are read back as vectors, it is these that are written: queries are compared with them.
    """
    dataset = context.dataset(stage.spec["dataset"])
    net, preprocessing = networks.deployed(stage, context)
    parts = {"query": dataset.splits.query, "database": dataset.splits.database}
    if features := features_for(stage, context):
        head = net.get_submodule("head") if networks.code_length(stage) else nn.Identity()
        outputs = {name: features.outputs(head, one, stage.spec, context) for name, one in parts.items()}
    else:
        net = folded(net)
        outputs = {
            name: outputs_of(net, preprocessing, dataset, indices, stage.spec, context)
            for name, indices in parts.items()
        }
    bad = [name for name, values in outputs.items() if not values.isfinite().all()]
    if bad:
        trained = "training diverged; lower lr"
        why = trained if networks.taken_up(stage) else "check its weights and its image size"
        raise CellError(f"outputs for the {bad[0]} are not finite: {why}")
    if networks.code_length(stage):
        codes = {name: torch.from_numpy(pack_signs(values.numpy())) for name, values in outputs.items()}
    else:
        codes = {name: nn.functional.normalize(values, dim=1) for name, values in outputs.items()}
        if compressing.stored_bits(stage):
            codes = compressing.read_back(stage, codes, context)
    save_file(codes, folder / CODES)
    return {name: len(values) for name, values in codes.items()}


def read(reader: Stage, encode: Stage, context: Context) -> dict[str, NDArray[Any]]:
    """The codes or embeddings of ``query`` and ``database`` that ``reader`` wants of those of ``encode``."""
    found = {part: values.numpy() for part, values in context.tensors(encode, CODES).items()}
    bits = reader.spec.get("first_bits")
    return {part: first_bits(codes, bits) for part, codes in found.items()} if bits else found


def memory(stage: Stage, needs: Needs) -> float:
    """The network, and its outputs before and after they are codes."""
    if TRUNK in stage.inputs:
        return 2 * needs.codes(stage)
    student, size = networks.student_of(stage), networks.largest(stage.spec)
    return needs.asked("student", student, size) + 2 * needs.codes(stage)


def outputs_of(
    net: nn.Module,
    preprocessing: Preprocessing,
    dataset: LoadedDataset,
    indices: NDArray[Any],
    spec: Any,
    context: Context,
) -> Tensor:
    """What ``net`` says of ``indices`` in the evaluation view: float32 (n, d) on the CPU."""
    crops = views.centre_crops(dataset.images)
    source = context.source(dataset.images)
    batch = views.evaluation_batch(networks.largest(spec))
    inputs = views.batches(source, indices, crops, preprocessing, spec["image_size"], batch)
    return embed(net, inputs, context, spec["precision"])
