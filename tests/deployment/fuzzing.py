"""Bundles with something wrong in them, encoded in a process of their own.

Run as ``python -m tests.deployment.fuzzing KIND FIRST LAST FOLDER``: it writes what came of each seed to
stdout as a line of JSON, the seed before it is tried and the rest after, so that a crash is seen and placed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from bench.cli import main
from bench.deployment.bundle import FILE, MODEL, FileEntry
from tests.deployment.bundles import edit
from tests.faults.fuzzing import damaged

#: Values that nobody expects.
NUMBERS = [0, 1, -1, 2, 7, 255, 10**6, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -(2**63)]
JUNK = [None, True, False, "", "x", "../../etc/passwd", [], {}, [[]], 1e308, -1e-308, float("nan"), *NUMBERS]
OPERATORS = [
    *("Add", "MatMul", "Cast", "Reshape", "Pad", "Expand", "Tile", "ConstantOfShape", "Resize", "Gather"),
    *("Slice", "Loop", "If", "Scan", "Conv", "Range", "OneHot", "Transpose", "Concat", "Split", "Identity"),
    *("TopK", "MaxPool", "Einsum", "QuantizeLinear", "RandomNormal", "CumSum", "GridSample", "ReduceMean"),
    *(
        "StringNormalizer",
        "SequenceAt",
        "STFT",
        "LSTM",
        "NonMaxSuppression",
        "ScatterND",
        "PyOp",
        "EPContext",
    ),
]
ATTRIBUTES = [
    "axis",
    "to",
    "keepdims",
    "perm",
    "body",
    "then_branch",
    "value",
    "kernel_shape",
    "pads",
    "group",
]


def other_object(data: object, rng: random.Random) -> object:
    """A JSON value with some of what is in it removed, renamed, or replaced by junk."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        block = data
        while True:
            keys = list(block) if isinstance(block, dict) else list(range(len(block)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(block[key], dict | list) and block[key] and rng.random() < 0.7:
                block = block[key]
                continue
            change = rng.randrange(4)
            if change == 0:
                del block[key]
            elif change == 1 and isinstance(block, dict):
                block[f"{key}{rng.choice(['', 's', '.', chr(0), ' '])}"] = block.pop(key)
            else:
                block[key] = rng.choice(JUNK)
            break
    return data


def other_model(data: bytes, rng: random.Random) -> bytes:
    """A graph that can be parsed, with other shapes, types, operators, attributes or places of weights."""
    model = onnx.load_from_string(data)
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        if model.graph.node and model.graph.initializer:
            _change(model, rng)
    return model.SerializeToString()


def _change(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = model.graph
    tensor, node = rng.choice(graph.initializer), rng.choice(graph.node)
    change = rng.randrange(11)
    if change == 0:
        tensor.dims[:] = [*tensor.dims[1:], rng.choice(NUMBERS)]
    elif change == 1:
        tensor.data_type = rng.randrange(25)
    elif change == 2:
        tensor.raw_data = damaged([tensor.raw_data], rng)
    elif change == 3:
        node.op_type = rng.choice(OPERATORS)
    elif change == 4 and node.input:
        values = [value for other in graph.node for value in other.output]
        node.input[rng.randrange(len(node.input))] = rng.choice(["", "images", tensor.name, *values])
    elif change == 5:
        _add_attribute(node, graph, rng)
    elif change == 6:
        model.opset_import[0].version = rng.choice([1, 7, 11, 13, 24, 99, -1])
    elif change == 7:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        places = ["secret.bin", "/etc/passwd", "../secret.bin", "", "*/_ORT_MEM_ADDR_/*"]
        for key, value in (("location", rng.choice(places)), ("offset", str(rng.choice(NUMBERS)))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    elif change == 8 and tensor.data_type == TensorProto.INT64 and len(tensor.raw_data) >= 8:
        values = np.frombuffer(tensor.raw_data, np.int64, len(tensor.raw_data) // 8).copy()
        values[rng.randrange(len(values))] = rng.choice(NUMBERS)
        tensor.raw_data = values.tobytes()
    elif change == 9:
        graph.node.add().CopyFrom(rng.choice(graph.node))
    else:
        del graph.node[rng.randrange(len(graph.node))]


def _add_attribute(node: onnx.NodeProto, graph: onnx.GraphProto, rng: random.Random) -> None:
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)
    value = rng.choice([rng.choice(NUMBERS), [rng.choice(NUMBERS)] * rng.randrange(1, 5), 0.5, b"text", copy])
    node.attribute.append(onnx.helper.make_attribute(rng.choice(ATTRIBUTES), value))


def prepare(kind: str, seed: int, folder: Path) -> None:
    """Put something wrong into the bundle in ``folder``, whose checksums stay right."""
    rng = random.Random(seed)
    path = folder / (MODEL if kind == "model" else FILE)
    if kind == "json" and rng.random() < 0.7:
        edit(folder, lambda data: other_object(data, rng))
    else:
        parsed, content = kind == "model" and rng.random() < 0.7, path.read_bytes()
        path.write_bytes(other_model(content, rng) if parsed else damaged([content], rng))
    if kind == "model":
        edit(folder, lambda data: {**data, "files": {MODEL: vars(FileEntry.of(path))}})


@contextlib.contextmanager
def _to_files(folder: Path):
    """What this process and the libraries in it write goes to two files."""
    kept = [os.dup(number) for number in (1, 2)]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        sys.stdout.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def _try(kind: str, seed: int, source: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(source / "bundle", folder / "bundle")
        prepare(kind, seed, folder / "bundle")
        with _to_files(folder):
            out = folder / "new" / "codes.npz"
            code = main(["encode", str(folder / "bundle"), str(source / "photo.png"), "--out", str(out)])
        written = sorted(path.name for path in folder.rglob("new/*"))
        return {"seed": seed, "code": code, "err": (folder / "err").read_text(), "written": written}


if __name__ == "__main__":
    import resource

    # A graph may ask for any memory: let that be refused here, not take the machine's.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    kind, first, last, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    os.chdir(place)
    for seed in range(first, last):
        sys.stdout.write(json.dumps({"begun": seed}) + "\n")
        sys.stdout.flush()
        sys.stdout.write(json.dumps(_try(kind, seed, place)) + "\n")
