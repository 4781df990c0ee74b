"""Features that are stored in few bytes and read back: a codebook in the place of a hash head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from bench.planning.stage import Stage
from bench.registry import LOSSES
from bench.stages import networks
from bench.stages.context import Context
from bench.types import Compression, HashingTask

#: File of a fit artifact, beside the student whose features are compressed.
CODEBOOK = "codebook.safetensors"


def stored_bits(stage: Stage) -> int:
    """Bits that are kept of an image, where codes are read back as vectors; else 0."""
    return int(stage.settled("loss").get("stored_bits", 0))


def write(loss: Compression, net: nn.Module, features: Tensor, folder: Path) -> dict[str, Any]:
    """Learn a codebook from features (n, width) of any length; leave it with the trunk that makes them.

    Returns:
        For the summary: what is stored once for all images.
    """
    codebook = loss.codebook(nn.functional.normalize(features, dim=1).numpy())
    save_file(dict(codebook), folder / CODEBOOK)
    networks.save(net, folder / networks.STUDENT)
    return {"codebook_bytes": sum(array.nbytes for array in codebook.values())}


def read_back(encode: Stage, unit: Mapping[str, Tensor], context: Context) -> dict[str, Tensor]:
    """Vectors of ``query`` and ``database`` whose inner products compare queries with what codes have kept.

    Args:
        unit: features of both, float32 (n, width) of length 1.
    """
    fit = networks.taken_up(encode)
    assert fit is not None
    codebook = {name: values.numpy() for name, values in context.tensors(fit, CODEBOOK).items()}
    loss, query, database = _loss(fit), unit["query"].numpy(), unit["database"].numpy()
    codes = loss.stored(codebook, database)
    assert codes.shape == (len(database), -(-stored_bits(encode) // 8))  # as its record will say
    vectors = loss.compared(codebook, query, codes)
    return {
        part: torch.from_numpy(np.ascontiguousarray(found))
        for part, found in zip(("query", "database"), vectors, strict=True)
    }


def _loss(fit: Stage) -> Compression:
    spec = fit.spec
    plugin: Any = LOSSES.get(spec["loss"]["name"])
    task = HashingTask(spec["stored_bits"], 0, 0, spec.get("seed", 0))
    loss: Compression = plugin(plugin.Params.of(spec["loss"]["params"]), task)
    return loss
