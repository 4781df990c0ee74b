"""Which epoch of step 2 is kept: the last one, or the best by the mAP of validation images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data.loading import LoadedDataset
from bench.hamming import Codes, average_precision, first_bits, pack_signs
from bench.training.loop import DivergedError
from bench.types import HashingParameters
from models.weights import restore, stored_tensors


class KeptEpoch:
    """Keeps the weights of the last epoch, or of the one with the best mAP of val against train.

    Args:
        net: what learns.
        outputs: of the whole network for images by their places in the data set: float32 (n, bits).
    """

    def __init__(
        self, spec: Mapping[str, Any], dataset: LoadedDataset, params: HashingParameters, net: nn.Module,
        outputs: Callable[[NDArray[np.int64]], Tensor],
    ) -> None:  # fmt: skip
        self.spec, self.dataset, self.params, self.net = spec, dataset, params, net
        self.epoch = params.epochs
        self._outputs = outputs
        self._score = -1.0
        self._state: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {"epoch": self.epoch, "score": self._score, "weights": self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Beat that one."""
        self.epoch, self._score, self._state = state["epoch"], state["score"], state["weights"]

    def end_of_epoch(self, epoch: int) -> dict[str, float]:
        """``val_map`` after an epoch in which validation images are looked at; else empty."""
        number = epoch + 1
        due = number % self.params.eval_every == 0 or number == self.params.epochs
        if self.params.select == "last" or not due:
            return {}
        score = self.judge()
        if score > self._score:
            self._score, self.epoch = score, number
            self._state = {name: tensor.clone() for name, tensor in stored_tensors(self.net).items()}
        return {"val_map": score}

    def judge(self) -> float:
        """The mAP of val against train as the network is now; of several code lengths the mean."""
        splits, labels = self.dataset.splits, self.dataset.images.labels
        codes = self._codes(splits.val), self._codes(splits.train)
        judged = labels[splits.val], labels[splits.train]
        lengths = self.spec.get("nested") or [self.spec["bits"]]
        return float(np.mean([_mean_precision(codes, judged, bits) for bits in lengths]))

    def _codes(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        outputs = self._outputs(indices)
        if not outputs.isfinite().all():
            raise DivergedError("outputs for the validation are not finite: training diverged; lower lr")
        return pack_signs(outputs.numpy())

    def restore(self) -> None:
        """Put the kept weights back into the network."""
        if self._state is not None:
            restore(self.net, self._state)


def _mean_precision(codes: Sequence[Codes], judged: Sequence[NDArray[Any]], bits: int) -> float:
    """The mAP of the first ``bits`` of packed codes, one side against the other."""
    queries, database = (first_bits(side, bits) for side in codes)
    return float(average_precision(queries, database, *judged, bits=bits).mean())
