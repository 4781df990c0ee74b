"""Pixels on their way to the device: uint8, batch after batch, ready when the network is.

Sets in memory are cut from one array, which stays on a GPU if it fits there. Image files are decoded ahead
of time by worker processes.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from bench.data.image_files import ImageFiles
from bench.errors import BenchError
from bench.training import signals
from bench.types import Pixels

Tag = TypeVar("Tag")

#: tag of a batch, its indices -> its crops (``views.random_crops``)
View = Callable[[Any, NDArray[np.int64]], NDArray[np.float64]]

#: A set in memory stays on the GPU while it is no larger than this share of the memory that is free there.
RESIDENT_SHARE = 0.25
#: Batches that every worker has ready or in work, at most, and the share of shared memory that all may take.
READ_AHEAD, SHARED_MEMORY_SHARE = 4, 0.5
#: More workers than that decode faster than any one device trains.
MOST_WORKERS = 16


class PixelSource:
    """Pixels of one data set on one device.

    Args:
        pixels: an array, or anything that reads images when they are asked for.
        workers: processes that decode; with 0 this process does.
    """

    def __init__(self, pixels: Pixels, device: torch.device, workers: int) -> None:
        self._pixels, self._device, self._workers = pixels, device, workers
        self._resident = _resident(pixels, device)

    def stream(
        self, asked: Iterable[tuple[Tag, NDArray[np.int64]]], view: View | None = None
    ) -> Iterator[tuple[Tag, Tensor]]:
        """The images at ``asked`` indices in that order, with the tag of each batch: uint8 (n, c, h, w).

        It reads ahead: ``asked`` is consumed some batches before they are yielded. Of files that are
        ``sliding``, the square that the crop of ``view`` lies in is cut.
        """
        if isinstance(self._pixels, np.ndarray):
            for tag, indices in asked:
                yield tag, self._cut(indices)
            return
        yield from self._read(asked, view if getattr(self._pixels, "sliding", False) else None)

    def _read(
        self, asked: Iterable[tuple[Tag, NDArray[np.int64]]], view: View | None
    ) -> Iterator[tuple[Tag, Tensor]]:
        tags: deque[Tag] = deque()

        def sampler() -> Iterator[_Asked]:
            for tag, indices in asked:
                tags.append(tag)
                yield indices, None if view is None else _places(view(tag, indices))

        batches = sampler()
        first = next(batches, None)
        if first is None:
            return
        workers, ahead = self._readers(first[0].size * math.prod(self._pixels.shape[1:]))
        loader: DataLoader[Tensor | BenchError] = DataLoader(
            _Reader(_single_threaded(self._pixels) if workers else self._pixels),  # type: ignore[arg-type]
            sampler=itertools.chain([first], batches),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=ahead if workers else None,
            pin_memory=self._device.type == "cuda",
            worker_init_fn=_begin,
            generator=torch.Generator(),  # its own, so that reading draws nothing from that of the training
        )
        for pixels in loader:
            if isinstance(pixels, BenchError):
                raise pixels
            yield tags.popleft(), pixels.to(self._device, non_blocking=True)

    def _readers(self, batch_bytes: int) -> tuple[int, int]:
        """How many workers, and how many batches each holds ready: as many as shared memory has room for.

        Without room, which containers often lack, this process decodes in threads.
        """
        room = int(SHARED_MEMORY_SHARE * _shared_memory() / batch_bytes)
        workers = min(self._workers, MOST_WORKERS, room)
        return workers, min(READ_AHEAD, room // workers) if workers else 0

    def _cut(self, indices: NDArray[np.int64]) -> Tensor:
        if self._resident is not None:
            return self._resident[torch.from_numpy(indices).to(self._device)]
        return torch.from_numpy(self._pixels[indices]).to(self._device)


def _resident(pixels: Pixels, device: torch.device) -> Tensor | None:
    if device.type != "cuda" or not isinstance(pixels, np.ndarray):
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return torch.from_numpy(pixels).to(device) if pixels.nbytes <= RESIDENT_SHARE * free else None


def _shared_memory() -> int:
    """Bytes free where workers hand over what they read; no limit where that is no place of its own."""
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108  (nothing is written here)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize


#: Indices of a batch, and where in its image each square lies, see ``ImageFiles.at``; None = in the centre.
_Asked = tuple[NDArray[np.int64], NDArray[np.float64] | None]


def _places(crops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where squares lie so that crops of them are spread evenly over the whole image: float64 (n, 2).

    A crop at a share of the room that it has in the square, with the square at the same share of the room
    that it has in the image, is at that share of all the room there is.
    """
    room, places = 1 - crops[:, 2:3], np.full((len(crops), 2), 0.5)
    np.divide(crops[:, :2], room, out=places, where=room > 0)
    return places


class _Reader:
    """The view of a data set that DataLoader has: whole batches by their indices."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def __getitem__(self, asked: _Asked) -> Tensor | BenchError:
        indices, places = asked
        try:
            if places is None:
                return torch.from_numpy(self._pixels[indices])
            return torch.from_numpy(self._pixels.at(indices, places))  # type: ignore[attr-defined]
        except BenchError as error:
            return error  # raised in a worker, it would arrive with a traceback for its message


def _begin(worker: int) -> None:
    """A signal to the group must not end the workers of a training that has a step to finish."""
    os.setpgid(0, 0)
    signals.leave_to_parent()


def _single_threaded(pixels: Pixels) -> Pixels:
    """Workers are as many as there are cores: more threads in each would only wait for one another."""
    return replace(pixels, threads=1) if isinstance(pixels, ImageFiles) else pixels


def every(indices: NDArray[np.int64], batch_size: int) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """All ``indices`` in order, for ``stream``; the tag of a batch is its indices."""
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        yield chosen, chosen
