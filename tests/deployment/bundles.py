"""Small bundles made by hand, whose codes anybody can work out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.deployment.bundle import FILE, MODEL, Bundle, FileEntry, Origin, Preprocessing

BITS = 12
PREPROCESSING = Preprocessing(
    height=8,
    width=8,
    fit="crop",
    grey=False,
    crop=1.0,
    image_size=8,
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)


def weights(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights float32 (3, bits) and thresholds float32 (bits,) that ``outputs_of`` uses."""
    rng = np.random.default_rng(bits)
    directions, colours = rng.standard_normal((3, bits)), rng.uniform(30, 225, (3, bits))
    return directions.astype(np.float32), -(directions * colours).sum(axis=0, dtype=np.float32)


def outputs_of(images: np.ndarray, bits: int) -> np.ndarray:
    """What the small model makes of uint8 (n, h, w, 3): mean colours against ``bits`` directions."""
    directions, thresholds = weights(bits)
    return images.mean(axis=(1, 2), dtype=np.float32) @ directions + thresholds


def model(bits: int, dimensions: int, *, images: str = "images") -> onnx.ModelProto:
    """Mean colour -> ``dimensions`` values -> packed signs, or values of length 1 where ``bits`` is 0."""
    directions, thresholds = weights(dimensions)
    arrays = {"directions": directions, "thresholds": thresholds}
    nodes = [
        helper.make_node("Cast", [images], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "places"], ["colours"], keepdims=0),
        helper.make_node("MatMul", ["colours", "directions"], ["projected"]),
    ]
    arrays["places"] = np.array([1, 2])
    values = [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", dimensions])]
    if bits:
        width = -(-bits // 8)
        arrays |= {
            "zero": np.float32(0),
            "padding": np.array([0, 0, 0, 8 * width - bits]),
            "shape": np.array([-1, width, 8]),
            "powers": np.array([128, 64, 32, 16, 8, 4, 2, 1], np.float32),
            "last": np.array([2]),
        }
        nodes += [
            helper.make_node("Add", ["projected", "thresholds"], ["outputs"]),
            helper.make_node("GreaterOrEqual", ["outputs", "zero"], ["signs"]),
            helper.make_node("Cast", ["signs"], ["bits"], to=TensorProto.FLOAT),
            helper.make_node("Pad", ["bits", "padding"], ["padded"]),
            helper.make_node("Reshape", ["padded", "shape"], ["bytes"]),
            helper.make_node("Mul", ["bytes", "powers"], ["weighed"]),
            helper.make_node("ReduceSum", ["weighed", "last"], ["summed"], keepdims=0),
            helper.make_node("Cast", ["summed"], ["codes"], to=TensorProto.UINT8),
        ]
        values.insert(0, helper.make_tensor_value_info("codes", TensorProto.UINT8, ["n", width]))
    else:
        nodes += [
            helper.make_node("Add", ["projected", "thresholds"], ["raw"]),
            helper.make_node("LpNormalization", ["raw"], ["outputs"], axis=1, p=2),
        ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(images, TensorProto.UINT8, ["n", "h", "w", 3])],
        values,
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def write_bundle(
    folder: Path,
    bits: int = BITS,
    dimensions: int | None = None,
    made: onnx.ModelProto | None = None,
    **changes,
) -> Bundle:
    """A bundle of the small model, or of ``made``; ``changes`` are fields of its ``Preprocessing``."""
    folder.mkdir(parents=True, exist_ok=True)
    dimensions = dimensions or bits
    (folder / MODEL).write_bytes((made or model(bits, dimensions)).SerializeToString())
    bundle = Bundle(
        name="small",
        bits=bits,
        dimensions=dimensions,
        precision="fp32",
        preprocessing=dataclasses.replace(PREPROCESSING, **changes),
        classes=("cat", "dog"),
        made_from=Origin("0" * 64, {"bits": bits}, {"encode": "1" * 64}, "sha256:2", None, "0.1.0"),
        agreement={"bits_changed": 0.0},
        files={MODEL: FileEntry.of(folder / MODEL)},
        created="2026-01-01T00:00:00+00:00",
        folder=folder,
    )
    (folder / FILE).write_text(json.dumps(bundle.to_json()))
    return bundle


def edit(folder: Path, change) -> None:
    """Put ``change(object)`` in the place of what ``bundle.json`` holds."""
    path = folder / FILE
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
