"""What losses that pull codes to fixed centers share: centers that differ, and what to know of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

#: Up to this length all codes are listed; of longer ones there are more than anybody has classes.
_LISTED_BITS = 16

#: Bytes of distances that are held at a time.
_BLOCK_BYTES = 1 << 20


def findings(centers: Tensor, cause: str | None = None) -> dict[str, Any]:
    """What a reader should know of ``centers``, float (classes, bits) in {-1, 0, 1}, for a summary.

    ``constant_bits`` is the number of bits on which all centers agree: they separate no classes.
    ``repeated_centers``, where there are any, is the number of classes whose center an earlier class has; of
    which a warning says the ``cause`` and the cure, by default that there are no more codes.
    """
    classes, bits = centers.shape
    constant = int((centers == centers[:1]).all(dim=0).sum())
    repeated = classes - len(np.unique(centers.numpy(), axis=0))
    if not repeated:
        return {"constant_bits": constant}
    cause = cause or f"which {bits}-bit codes cannot tell from them; take longer codes"
    sentence = f"{repeated} of {classes} classes have the center of another class, {cause}"
    log.warning(sentence)
    return {"constant_bits": constant, "repeated_centers": repeated, "warnings": [sentence]}


def smallest_distance(centers: NDArray[np.int8], enough: float = -1) -> int:
    """The smallest Hamming distance between two of ``centers``, int8 (classes, bits) of +-1.

    Only one block of distances is held at a time; at ``enough`` or less the search for closer ones ends.
    """
    packed = np.packbits(centers > 0, axis=1)
    words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
    smallest, step = int(centers.shape[1]), max(_BLOCK_BYTES // (8 * len(words)), 1)
    for start in range(0, len(words), step):
        some, rest = words[start : start + step], words[start:]
        apart = np.zeros((len(some), len(rest)), np.uint16)
        for word in range(words.shape[1]):
            apart += np.bitwise_count(some[:, word, None] ^ rest[:, word])
        np.fill_diagonal(apart, smallest)
        smallest = min(smallest, int(apart.min()))
        if smallest <= enough:
            break
    return smallest


def distinct(centers: NDArray[np.int8], generator: np.random.Generator) -> NDArray[np.int8]:
    """``centers`` with another code for every row that an earlier one equals, as balanced as there is.

    With more classes than codes, every code is used once before any is used again.

    Args:
        centers: int8 (classes, bits) of +-1.
        generator: is asked only if there are such rows.

    Returns:
        int8 (classes, bits) of +-1.
    """
    _, first = np.unique(centers, axis=0, return_index=True)
    again = np.setdiff1d(np.arange(len(centers)), first)
    if not len(again):
        return centers
    result, bits = centers.copy(), centers.shape[1]
    taken = {row.tobytes() for row in centers}
    if bits > _LISTED_BITS:
        balanced = np.repeat(np.array([-1, 1], np.int8), [bits // 2, bits - bits // 2])
        for place in again:
            while (row := generator.permutation(balanced)).tobytes() in taken:
                pass
            taken.add(row.tobytes())
            result[place] = row
        return result
    codes = np.arange(1 << bits)[:, None] >> np.arange(bits)[::-1] & 1
    free = np.ones(len(codes), np.bool_)
    free[(centers > 0) @ (1 << np.arange(bits)[::-1])] = False
    mixed = generator.permutation(np.flatnonzero(free))
    order = [mixed[np.argsort(abs(2 * codes[mixed].sum(axis=1) - bits), kind="stable")]]
    while sum(map(len, order)) < len(again):
        order.append(generator.permutation(len(codes)))
    result[again] = 2 * codes[np.concatenate(order)[: len(again)]] - 1
    return result


def random_centers(classes: int, bits: int, generator: np.random.Generator) -> NDArray[np.int8]:
    """Evenly drawn bits of one center per class, int8 (classes, bits) of +-1, made ``distinct``."""
    return distinct(generator.choice(np.array([-1, 1], np.int8), (classes, bits)), generator)


def hash_centers(classes: int, bits: int, generator: np.random.Generator) -> NDArray[np.int8]:
    """One center per class, int8 (classes, bits) of +-1: rows of [H; -H], then balanced random rows.

    Random rows are only needed for more than ``2 * bits`` classes. They are drawn up to 20 times, until
    all centers are more than bits / 4 apart and bits / 2 on average; the best draw is kept otherwise.
    Centers that are equal in it are drawn again one by one, as long as there are others.
    """
    rows = hadamard(bits)
    structured = np.concatenate([rows, -rows]).astype(np.int8)
    if classes <= 2 * bits:
        return structured[:classes]
    best, best_distance = structured, -1
    balanced = np.tile(np.repeat(np.array([-1, 1], dtype=np.int8), bits // 2), (classes - 2 * bits, 1))
    for _ in range(20):
        centers = np.concatenate([structured, generator.permuted(balanced, axis=1)])
        # A draw with two centers that are neither far apart nor farther than the best's is of no use.
        distance = smallest_distance(centers, enough=min(best_distance, bits / 4))
        if distance > best_distance:
            best, best_distance = centers, distance
        # Products of all ordered pairs sum up to the square of the sum, less those of each with itself.
        products = int(np.square(centers.sum(axis=0, dtype=np.int64)).sum()) - classes * bits
        if distance > bits / 4 and products <= 0:
            return centers
    return distinct(best, generator)
