"""Stage ``encode``: the fine-tuned network turns query and database images into binary codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from bench.stage import Stage
from bench.stages import finetune
from bench.stages.context import Context


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write ``codes.safetensors``: ``query`` and ``database``, packed uint8 (n, ceil(bits / 8))."""
    dataset = context.dataset(stage.spec["dataset"])
    student, net = finetune.load_network(stage.inputs["finetune"], context)
    parts = {"query": dataset.splits.query, "database": dataset.splits.database}
    codes = {
        name: finetune.encode(net, student, dataset, indices, stage.spec, context)
        for name, indices in parts.items()
    }
    save_file(codes, folder / "codes.safetensors")
    return {name: len(array) for name, array in codes.items()}
