"""What methods and losses may know: tasks and batches of the two steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.types.parameters import Incomplete

if TYPE_CHECKING:
    from torch import Tensor, nn


def cut(count: int, size: int, incomplete: Incomplete = "drop") -> Iterator[slice]:
    """An epoch of ``count`` images, pairs or groups in batches of ``size``, one after the other.

    Fewer than ``size`` are one batch. What is left over otherwise is dropped or kept, and dropped where it is
    one: batch normalisation and losses over pairs need two.
    """
    whole = count // size * size
    yield from (slice(start, start + size) for start in range(0, whole, size))
    if not whole or (incomplete == "keep" and count - whole > 1):
        yield slice(whole, count)


class Advance(Protocol):
    """Called with images that are done, and the seconds of the earlier run if that has done them."""

    def __call__(self, images: int, seconds: float = 0.0) -> None: ...  # noqa: D102


def untold(images: int, seconds: float = 0.0) -> None:
    """Tell nobody that images are done."""


@dataclass(frozen=True)
class HashingTask:
    """What a hashing loss may know when it is made.

    Attributes:
        bits: code length.
        classes: number of those trained on; unseen ones are not among them.
        train_images: number of them.
        seed: of the training.
        multi_label: whether some image has not exactly one label.
        dataset: name of the data set, of which published figures may be known.
    """

    bits: int
    classes: int
    train_images: int
    seed: int
    multi_label: bool = False
    dataset: str = ""


@dataclass(frozen=True)
class DistillationTask:
    """What a method may know when step 1 begins.

    Attributes:
        trunk: the student as built: float (n, 3, s, s) -> float (n, width). It is trained in place.
        width: of the student's feature.
        targets: cached outputs by teacher and view, float16 (images, d) each, rows in the order of the
            pool; empty for methods that use the networks themselves, and for ``views: online``.
        networks: live teachers, frozen and in eval mode; empty for methods that use cached outputs.
        network_tensors: what their own training kept beside them (``Method.tensors``).
        labels: int64 (images,) class indices or uint8 (images, classes) 0/1 for methods that use labels,
            else None.
        classes: number of them.
        images: size of the pool.
        seed: of the training.
        teacher_widths: of the outputs of frozen teachers, cached or asked for online.
        videos: int64 (images,) video that each image is a frame of; None where images are no frames.
    """

    trunk: nn.Module
    width: int
    targets: list[list[Tensor]]
    networks: list[nn.Module]
    network_tensors: list[dict[str, Tensor]]
    labels: NDArray[Any] | None
    classes: int
    images: int
    seed: int
    teacher_widths: Sequence[int] = ()
    videos: NDArray[np.int64] | None = None

    def first_labels(self) -> NDArray[np.int64]:
        """One class index per image, the first of several: int64 (images,)."""
        assert self.labels is not None
        return self.labels if self.labels.ndim == 1 else self.labels.argmax(axis=1).astype(np.int64)


@dataclass(frozen=True)
class DistillationBatch:
    """One batch of step 1.

    Attributes:
        inputs: float (n, 3, s, s), the views that the student was shown.
        index: int64 (n,) positions in the pool.
        teachers: one float (n, d) per teacher: its output for these views, cached or of the live network.
        labels: float (n, classes) 0/1 for methods that use labels, else None.
        epoch: from 0.
    """

    inputs: Tensor
    index: Tensor
    teachers: list[Tensor]
    labels: Tensor | None
    epoch: int
