"""A torch network as ONNX Runtime sessions on the CPU, in float32 and quantised to int8.

Needs the extra ``onnx``. Static quantisation in QDQ form: weights int8 per channel, activations uint8
with ranges seen on calibration images, one bit of range given up so that sums of products do not
saturate on processors without VNNI.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Images = NDArray[np.float32]


class OnnxSession:
    """An exported network: float32 (n, 3, s, s) -> float32 (n, bits), any n."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        self.path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """The outputs of a batch."""
        return np.asarray(self._session.run(None, {"images": images})[0])


def export(net: nn.Module, image_size: int, path: Path) -> Path:
    """Write a float32 copy of ``net`` with its weights to one file ``path``; ``net`` stays as it is."""
    import torch

    images = torch.zeros(2, 3, image_size, image_size)
    copied = copy.deepcopy(net).cpu().float().eval()
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            copied,
            (images,),
            path,
            input_names=["images"],
            output_names=["codes"],
            dynamic_shapes=({0: "n"},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
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
