"""Which images meet in a batch: several of each of many identities, two of a landmark, one of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.types import Incomplete, cut

Positions = NDArray[np.int64]


def filled(
    members: Sequence[Positions],
    size: int,
    count: int,
    incomplete: Incomplete,
    generator: np.random.Generator,
) -> Iterator[Positions]:
    """Batches of ``count`` groups of ``size`` images of one identity each, all images shown.

    An identity with too few images left fills up with those it has shown, and may come twice in a batch.
    Small sets are one batch.

    Args:
        members: positions of the images of each identity, in random order.
    """
    padded = [np.resize(some, -(-len(some) // size) * size).reshape(-1, size) for some in members]
    shuffled = generator.permutation(np.concatenate(padded))
    for part in cut(len(shuffled), count, incomplete):
        yield shuffled[part].reshape(-1)


def distinct(
    members: Sequence[Positions],
    size: int,
    count: int,
    incomplete: Incomplete,
    generator: np.random.Generator,
) -> Iterator[Positions]:
    """Batches of one group each of ``count`` random identities, as long as so many have one left.

    Incomplete ones have the identities that are left, two or more. Groups are whole; an identity with fewer
    images than a group draws one from them, with replacement.

    Args:
        members: as of ``filled``.
    """
    enough = [some if len(some) >= size else generator.choice(some, size) for some in members]
    groups = [some[: len(some) // size * size].reshape(-1, size) for some in enough]
    left = np.array([len(some) for some in groups])
    least = 2 if incomplete == "keep" else count
    while len(there := np.flatnonzero(left)) >= least:
        chosen = generator.choice(there, min(count, len(there)), replace=False)
        left[chosen] -= 1
        yield np.concatenate([groups[identity][left[identity]] for identity in chosen])


def two_of_each(labels: NDArray[np.int64], generator: np.random.Generator) -> Positions:
    """Two different images of every label that has them, labels in random order: int64 (2, labels)."""
    members = (np.flatnonzero(labels == label) for label in generator.permutation(np.unique(labels)))
    drawn = [generator.choice(images, 2, replace=False) for images in members if len(images) > 1]
    return np.array(drawn, np.int64).reshape(-1, 2).T


def one_of_each(videos: NDArray[np.int64], generator: np.random.Generator) -> Positions:
    """A random frame of every video, videos in random order: int64 (videos,)."""
    order = generator.permutation(len(videos))
    _, first = np.unique(videos[order], return_index=True)
    return generator.permutation(order[first])
