"""Which images meet in a batch: several of each of many identities, two of a landmark, one of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def filled(
    members: Sequence[Positions], size: int, count: int, generator: np.random.Generator
) -> Iterator[Positions]:
    """Batches of ``count`` groups of ``size`` images of one identity each, all images shown.

    An identity with too few images left fills up with those it has shown, and may come twice in a batch.
    Small sets are one batch.

    Args:
        members: positions of the images of each identity, in random order.
    """
    padded = [np.resize(some, -(-len(some) // size) * size).reshape(-1, size) for some in members]
    shuffled = generator.permutation(np.concatenate(padded))
    for start in range(0, max(len(shuffled) - count, 0) + 1, count):
        yield shuffled[start : start + count].reshape(-1)


def distinct(
    members: Sequence[Positions], size: int, count: int, generator: np.random.Generator
) -> Iterator[Positions]:
    """Batches of one group each of ``count`` random identities, as long as so many have one left.

    Groups are whole; an identity with fewer images than a group draws one from them, with replacement.

    Args:
        members: as of ``filled``.
    """
    enough = [some if len(some) >= size else generator.choice(some, size) for some in members]
    groups = [some[: len(some) // size * size].reshape(-1, size) for some in enough]
    left = np.array([len(some) for some in groups])
    while np.count_nonzero(left) >= count:
        chosen = generator.choice(np.flatnonzero(left), count, replace=False)
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
