"""One ONNX graph from bytes to codes: fit, view, network, codes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.deployment.preprocessing import Codes, Embeddings, Fit, View
from models import onnx_export
from models.onnx_export import Images

#: What the graph takes and gives.
IMAGES, CODES, OUTPUTS = "images", "codes", "outputs"

#: Shape of an image to trace with; no two axes alike.
_TRACED = 2, 37, 53, 3


def write_graph(
    fit: Fit,
    view: View,
    net: nn.Module,
    bits: int,
    path: Path,
    calibration: Iterable[Images] | None = None,
) -> None:
    """Write the graph: ``images`` uint8 (n, h, w, 3), any n, h and w -> ``codes`` and ``outputs``.

    Args:
        fit, view: what happens to an image before the network.
        net: in eval mode, float32 (n, 3, s, s) -> float32 (n, d); it stays as it is.
        bits: of the codes; 0: no ``codes``, and ``outputs`` of length 1.
        calibration: the network's inputs that set the ranges of int8; None = float32.
    """
    import onnx
    from onnx import compose

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def exported(
            module: nn.Module, example: torch.Tensor, free: str, takes: str, gives: list[str]
        ) -> Any:
            file = folder / f"{type(module).__name__}.onnx"
            onnx_export.write(module, example, file, dict(enumerate(free)), takes, gives)
            return onnx.load(file)

        file = onnx_export.export(net, view.image_size, folder / "network.onnx")
        if calibration is not None:
            file = onnx_export.quantise(file, folder / "int8.onnx", calibration)
        network = onnx.load(file)
        width = network.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        end, gives = (Codes(bits), [CODES, OUTPUTS]) if bits else (Embeddings(), [OUTPUTS])
        fitted = exported(fit, torch.zeros(_TRACED, dtype=torch.uint8), "nhw", IMAGES, ["fitted"])
        seen = exported(view, torch.zeros(2, 3, fit.height, fit.width), "n", "fitted", ["seen"])
        coded = exported(end, torch.zeros(2, width), "n", "answered", gives)

    model = _only_where_needed(fitted, fit.height, fit.width)
    for part, prefix in ((seen, "view/"), (network, "network/"), (coded, "codes/")):
        # Quantisation declares whatever operators it may use.
        del part.opset_import[1:]
        joint = [(model.graph.output[0].name, prefix + part.graph.input[0].name)]
        named = compose.add_prefix(part, prefix, rename_outputs=part is not coded)
        model = compose.merge_models(model, named, io_map=joint)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _only_where_needed(resizing: Any, height: int, width: int) -> Any:
    """``resizing`` for images of another size; those of the right one, as most are, need not pay for it."""
    from onnx import TensorProto, helper

    graph, result = resizing.graph, resizing.graph.output[0]
    taken, resized = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("fit/taken", result.name)
    )
    otherwise = helper.make_graph(graph.node, "resized", [], [resized], graph.initializer)
    as_it_is = [
        helper.make_node("Cast", [IMAGES], ["fit/bytes"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["fit/bytes"], ["fit/taken"], perm=[0, 3, 1, 2]),
    ]
    then = helper.make_graph(as_it_is, "taken", [], [taken])
    nodes = [
        helper.make_node("Shape", [IMAGES], ["fit/size"], start=1, end=3),
        helper.make_node("Equal", ["fit/size", "fit/right"], ["fit/equal"]),
        helper.make_node("Cast", ["fit/equal"], ["fit/counted"], to=TensorProto.INT32),
        helper.make_node("ReduceMin", ["fit/counted"], ["fit/both"], keepdims=0),
        helper.make_node("Cast", ["fit/both"], ["fit/fits"], to=TensorProto.BOOL),
        helper.make_node("If", ["fit/fits"], ["fit/image"], then_branch=then, else_branch=otherwise),
    ]
    right = helper.make_tensor("fit/right", TensorProto.INT64, [2], [height, width])
    image = helper.make_tensor_value_info("fit/image", TensorProto.FLOAT, ["n", 3, height, width])
    whole = helper.make_graph(nodes, "bundle", graph.input, [image], [right])
    return helper.make_model(whole, opset_imports=resizing.opset_import, ir_version=resizing.ir_version)
