"""The model of a bundle at work: images in, codes or embeddings out. Needs onnxruntime and no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.deployment.bundle import MODEL, Bundle
from bench.errors import UsageError, shortened

if TYPE_CHECKING:
    from onnxruntime import NodeArg


@dataclass(frozen=True)
class Encoded:
    """What a model makes of n images.

    Attributes:
        codes: uint8 (n, bytes), first bit highest; None of a bundle of embeddings.
        outputs: float32 (n, dimensions), whose signs the codes are; embeddings have length 1.
    """

    codes: NDArray[np.uint8] | None
    outputs: NDArray[np.float32]


class Encoder:
    """A bundle's model in ONNX Runtime on the CPU.

    Args:
        bundle: whose model it is.
        threads: that compute; codes do not depend on their number.

    Raises:
        UsageError: the model is not that of the bundle, or ONNX Runtime cannot load it.
    """

    def __init__(self, bundle: Bundle, threads: int) -> None:
        import onnxruntime

        self.bundle = bundle
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait for work must not take the cores from those that decode images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what goes wrong is raised, and told once
        # From bytes: a graph that points to other files finds none.
        model = bundle.model()
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # the runtime has an exception of its own for every fault
            raise self._fault("ONNX Runtime cannot load it", error) from error
        self._check(self._session.get_inputs(), self._session.get_outputs())

    def __call__(self, images: NDArray[np.uint8]) -> Encoded:
        """Codes and outputs of images, uint8 (n, h, w, 3) RGB.

        Raises:
            UsageError: the model fails, or returns something else than it promises.
        """
        try:
            found = dict(zip(self._names, self._session.run(self._names, {"images": images}), strict=True))
        except Exception as error:
            raise self._fault(f"it fails on images of {images.shape[1:]}", error) from error
        count, bundle = len(images), self.bundle
        outputs, codes = found["outputs"], found.get("codes")
        if outputs.shape != (count, bundle.dimensions) or not np.isfinite(outputs).all():
            raise self._fault(f"its outputs are not {bundle.dimensions} finite numbers an image")
        if codes is not None:
            behind = 0xFF >> (bundle.bits - 1) % 8 + 1
            if codes.shape != (count, bundle.code_bytes) or (codes[:, -1] & behind).any():
                raise self._fault(f"its codes are not {bundle.bits} bits an image, filled up with 0")
        return Encoded(codes, outputs)

    def _check(self, inputs: list[NodeArg], outputs: list[NodeArg]) -> None:
        """Types and numbers of dimensions; the sizes show when it runs."""
        expected = {"images": ("tensor(uint8)", 4), "outputs": ("tensor(float)", 2)}
        expected |= {"codes": ("tensor(uint8)", 2)} if self.bundle.bits else {}
        found = {arg.name: (arg.type, len(arg.shape)) for arg in (*inputs, *outputs)}
        if found != expected or [arg.name for arg in inputs] != ["images"]:
            raise self._fault(f"it must have the input 'images' and the outputs {', '.join(self._names)}")

    @property
    def _names(self) -> list[str]:
        return ["codes", "outputs"] if self.bundle.bits else ["outputs"]

    def _fault(self, what: str, error: Exception | None = None) -> UsageError:
        reason: Any = f" ({shortened(' '.join(str(error).split()))})" if error else ""
        return UsageError(
            f"{self.bundle.folder / MODEL}: not a model of this bundle: {what}{reason}; export it again"
        )
