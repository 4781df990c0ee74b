"""A torch network as an ONNX file, in float32 and quantised to int8.

Needs the extra ``onnx``. Static quantisation in QDQ form: weights int8 per channel, activations uint8
with ranges seen on calibration images, one bit of range given up so that sums of products do not
saturate on processors without VNNI.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import CellError, require, shortened
from bench.types.sizes import ImageSize, sides

if TYPE_CHECKING:
    from torch import Tensor, nn

Images = NDArray[np.float32]

#: Version of the operators, the same for whatever may be joined to one graph.
OPSET = 20


def require_onnx(what: str) -> None:
    """Raise MissingPackageError unless the packages are there that ``what`` needs to write ONNX files."""
    require(what, "onnx", "onnx", "onnxruntime", "onnxscript")


def export(net: nn.Module, image_size: ImageSize, path: Path) -> Path:
    """Write a float32 copy of ``net`` with its weights to one file ``path``; ``net`` stays as it is.

    The graph maps ``images``, float32 (n, 3, height, width), to ``outputs``, float32 (n, d), any n.
    """
    import torch

    images = torch.zeros(2, 3, *sides(image_size))
    return write(copy.deepcopy(net).cpu().float(), images, path, {0: "n"}, "images", ["outputs"])


def write(
    module: nn.Module, example: Tensor, path: Path, free: dict[int, str], given: str, results: list[str]
) -> Path:
    """Write ``module``, which takes one tensor, to one file.

    Args:
        example: an input.
        free: axes of the input that may have any length, and what they are called.
        given, results: names of its input and outputs.

    Raises:
        CellError: torch cannot write it.
    """
    import torch

    try:
        # What it has tried, torch prints.
        with _quiet(), redirect_stderr(io.StringIO()), torch.no_grad():
            torch.onnx.export(
                module.eval(),
                (example,),
                path,
                input_names=[given],
                output_names=results,
                dynamic_shapes=(free,),
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=OPSET,
            )
    except Exception as error:  # its steps have one each, and networks of users may raise any
        raise CellError(f"torch cannot write this network as ONNX: {_reason(error)}") from error
    return path


def quantise(source: Path, target: Path, calibration: Iterable[Images]) -> Path:
    """Write the int8 form of ``source`` to ``target``, ranges from the ``calibration`` batches."""
    with _quiet():
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            batches = iter(calibration)

            def get_next(self) -> dict[str, Any] | None:
                images = next(self.batches, None)
                return None if images is None else {"images": images}

        prepared = target.with_suffix(".prepared.onnx")
        _prepare(source, prepared)
        quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
    prepared.unlink()
    return target


def _prepare(source: Path, target: Path) -> None:
    """Write the graph as the quantiser wants it: shapes known, constants folded."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        quant_pre_process(source, target)
    except Exception:  # symbols for sizes are a help; their inference fails on some exports of torch 2.11
        quant_pre_process(source, target, skip_symbolic_shape=True)


def _reason(error: BaseException) -> str:
    """What the exporter met at first, in a line: what it says itself fills a screen."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return shortened(lines[0]) if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporter and quantiser warn of their own deprecated calls, and log every step."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
