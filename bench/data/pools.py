"""The images that step 1 learns from, and what stands for them in keys.

Keys hold what is in a pool, and not the settings that it was drawn by: budgets of labels share features
and students where step 1 sees the same images.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.data.splits import pieces
from bench.types import ImageSet, Splits, Unseen

#: Draws the fraction of a pool.
POOL_SEED = 0


@dataclass(frozen=True)
class Pool:
    """What step 1 may look at.

    Attributes:
        indices: int64 (n,) of ``images``, sorted.
        digest: sha256 in hex of all that a training can see of both.
    """

    images: ImageSet
    indices: NDArray[np.int64]
    digest: str


def drawn(splits: Splits, part: str, fraction: float, hold_out: str) -> NDArray[np.int64]:
    """Indices of a pool, sorted: never a query, and no validation image that is held out. None of an unseen
    class either, unless the protocol says so.

    A fraction is drawn once, the same for all seeds, and smaller ones lie inside larger ones.

    Args:
        splits: of the data set.
        part, fraction, hold_out: see ``DistillationParameters``. Where an epoch is chosen by validation,
            plans say "always".
    """
    held_out = splits.val if hold_out == "always" else splits.val[:0]
    whole = np.setdiff1d(np.union1d(splits.train, splits.val), held_out)
    if part != "train":
        closed = np.concatenate([held_out, splits.query, splits.kept_from_pools])
        whole = np.setdiff1d(np.union1d(splits.database, whole), closed)
    order = np.random.default_rng(POOL_SEED).permutation(whole)
    return np.sort(order[: max(1, round(fraction * len(whole)))])


def pool_of(
    images: ImageSet, images_sha256: str, indices: NDArray[np.int64], unseen: Unseen | None = None
) -> Pool:
    """The pool of ``indices``; ``images_sha256`` is that of a manifest: of pixels, labels and truth.

    Which classes are ``unseen`` is not in the digest: with labels, step 1 sees images of the others alone.
    """
    digest = hashlib.sha256(images_sha256.encode())
    classes = unseen.of if unseen else images.classes
    # Views are drawn for all images at once, so their number counts; names are for messages.
    for part in (images.pixels.shape, classes, images.augmentation, indices):
        for piece in pieces(part):
            digest.update(piece)
    return Pool(images, indices, digest.hexdigest())
