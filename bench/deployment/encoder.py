"""The model of a bundle at work: images in, codes or embeddings out. Needs onnxruntime and no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.deployment.bundle import MODEL, Bundle
from bench.errors import UsageError, shortened

if TYPE_CHECKING:
    from onnxruntime import NodeArg

#: Where a graph has weights in another file stands the string "location", its length of 8 before it; the 0
#: ends the other ways to write 8. ONNX Runtime looks for such files in the working folder, and some of its
#: versions take addresses in memory for files.
_NAMES_A_FILE = re.compile(rb"[\x08\x00]location")


@dataclass(frozen=True)
class Encoded:
    """What a model makes of n images.

    Attributes:
        codes: uint8 (n, bytes), first bit highest; None of a bundle of embeddings.
        outputs: float32 (n, dimensions), whose signs the codes are; embeddings have length 1.
    """

    codes: NDArray[np.uint8] | None
    outputs: NDArray[np.float32]

    @property
    def values(self) -> NDArray[Any]:
        """What images are compared by: codes, else embeddings."""
        return self.outputs if self.codes is None else self.codes


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

        self.bundle, self.threads, model = bundle, threads, bundle.model()
        if _NAMES_A_FILE.search(model):
            raise self._fault("it keeps weights in another file")
        # What goes wrong is raised, and told once.
        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait for work must not take the cores from those that decode images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            self._check(self._session.get_inputs(), self._session.get_outputs())
        except UsageError:
            raise
        except Exception as error:  # the runtime has an exception of its own for every fault
            raise self._fault("ONNX Runtime cannot load it", error) from error

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
        if codes is not None and not np.array_equal(codes, np.packbits(outputs >= 0, axis=1)):
            raise self._fault(
                f"its codes are not {bundle.bits} bits an image, the signs of its outputs, filled up with 0"
            )
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
