"""Which database items are relevant to which query: those that share a label with it, or those listed for it.

A scan asks block by block. Single labels are compared, and sorted once a block, so that the relevant
items of a query are neighbours; multi-hot labels become bit masks, and one AND finds the shared ones; a list
names the relevant items itself, as the true nearest neighbours that a benchmark of search comes with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError
from bench.hamming import scan
from bench.hamming.copies import Copies, as_words, copies, identical
from bench.hamming.gathered import FEWER, Weighted, pairs
from bench.hamming.scan import Counts, Ints

Bools = NDArray[np.bool_]


class Block(Protocol):
    """The items of one block; shared by threads."""

    #: int64 (n,): in this order the items must be scanned; None: as they are
    order: Ints | None

    def count(self, query: int, distances: Counts, spare: Counts, out: Counts) -> None:
        """Count the items, and the relevant ones, at each distance from ``query``.

        Args:
            distances: int32 (n,), of the items in ``order``; may be overwritten.
            spare: int32 (n,), may be overwritten.
            out: int32 (2, bins), is overwritten: all items, and the relevant ones.
        """
        ...

    def relevant(self, query: int) -> Bools:
        """Whether each item is relevant to ``query``, (n,) in the order of the database."""
        ...


class Relevance(Protocol):
    """The labels of queries and database."""

    #: how much memory a block takes, per item
    item_bytes: int
    #: int64 (q,), the same number for queries to which the same items are relevant
    alike: Ints

    def block(self, part: slice) -> Block:
        """The items of ``part``."""
        ...

    def gathered(self, part: slice, codes: Copies) -> Callable[[int], Weighted] | None:
        """The relevant items of ``part`` for a query, by its number, as places of the different codes there.

        None where items of one code differ so much in what they are relevant to that nothing is saved.
        """
        ...


def relevance(
    query_labels: ArrayLike, database_labels: ArrayLike | None, queries: int, items: int
) -> Relevance:
    """Check labels and say how they are compared.

    Args:
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes); or, with None
            for the database, int (q, m): the items that answer each query, -1 where there are fewer.
        queries, items: how many of them there must be.

    Raises:
        BenchError: labels of another form, or ones that do not fit together, in one line.
    """
    if database_labels is None:
        return _Listed(as_array("relevant items", query_labels), queries, items)
    query, database = as_array("query labels", query_labels), as_array("database labels", database_labels)
    for name, labels in (("query", query), ("database", database)):
        single = labels.ndim == 1 and labels.dtype.kind in "iu"
        if not (single or _is_by_class(labels)):
            form = f"int (n,) or 0/1 (n, classes), not {describe(labels)}"
            raise BenchError(f"{name} labels must be {form}; {_better_labels(labels)}")
        if single and labels.dtype == np.uint64 and labels.max(initial=0) > np.iinfo(np.int64).max:
            raise BenchError(f"{name} labels must be below 2^63; number the classes from 0 on")
    _check_counts(query, database, queries, items)
    if query.shape[1:] != database.shape[1:]:
        classes = [labels.shape[1] for labels in (query, database) if labels.ndim == 2]
        form = f"both as classes, or both as 0/1 by class: numpy.eye({classes[0]}, dtype=bool)[labels]"
        cure = form if len(classes) == 1 else "both a column for each class of either"
        raise BenchError(
            f"query labels {describe(query)} and database labels {describe(database)} do not match; give "
            f"{cure}"
        )
    return _Single(query, database) if query.ndim == 1 else _Multi(query, database)


def _is_by_class(labels: NDArray[Any]) -> bool:
    numbers = labels.dtype.kind in "biuf"
    return numbers and labels.ndim == 2 and labels.shape[1] > 0 and holds_only(labels, 0, 1)


def _better_labels(labels: NDArray[Any]) -> str:
    """What to do with labels of another form."""
    if labels.dtype.kind not in "biuf":
        both = "numpy.unique([*query_labels, *database_labels], return_inverse=True)[1]"
        return f"number the classes of both sides at once: {both}"
    if labels.ndim == 2 and labels.shape[1]:
        return "give 1 where an item has the class and else 0: labels > 0"
    return "give each class a whole number"


def _check_counts(query: NDArray[Any], database: NDArray[Any], queries: int, items: int) -> None:
    """Refuse more or fewer labels than codes."""
    if queries != items and (len(query), len(database)) == (items, queries):
        raise BenchError(
            f"{queries} queries have {items} labels, and {items} items of the database {queries}; exchange "
            "the labels, or the codes, of queries and database"
        )
    for what, labels, count in (("queries", query, queries), ("items of the database", database, items)):
        if len(labels) != count:
            turned = labels.shape[1:] == (count,)
            cure = "a row must be an image: labels.T" if turned else "give each its own, in the same order"
            raise BenchError(f"{count} {what} have {len(labels)} labels; {cure}")


def as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """``value`` as numpy reads it; lists and CPU tensors, too.

    Raises:
        BenchError: numpy cannot read it; ``name`` says what it is.
    """
    try:
        return np.asarray(value)
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # tensors on a GPU or with a gradient, ragged lists
        raise BenchError(f"{name} are nothing that numpy can read: {str(error).splitlines()[0]}") from error


def describe(array: NDArray[Any]) -> str:
    """Type and shape, for messages."""
    return f"{array.dtype} {array.shape}"


#: Labels that lie no further apart are looked up in a table.
_TABLE = 1 << 16


def holds_only(values: NDArray[Any], first: int, second: int) -> bool:
    """Whether there is nothing else in the rows of ``values``; a few at a time, and no more than needed."""
    rows = max(scan.MEMORY_MB * 1000 // values.shape[1], 1)
    parts = (values[start : start + rows] for start in range(0, len(values), rows))
    return all(bool(((part == first) | (part == second)).all()) for part in parts)


class Nothing:
    """No labels: nothing is relevant to anything."""

    item_bytes = 0
    order: Ints | None = None

    def __init__(self, queries: int, items: int = 0) -> None:
        self.alike: Ints = np.zeros(queries, np.int64)
        self._items = items

    def block(self, part: slice) -> Nothing:
        """So many items."""
        return Nothing(len(self.alike), part.stop - part.start)

    def gathered(self, part: slice, codes: Copies) -> Callable[[int], Weighted]:
        """None for any query."""
        nothing = Weighted(codes.first[:0], codes.first[:0])
        return lambda query: nothing

    def count(self, query: int, distances: Counts, spare: Counts, out: Counts) -> None:
        """Count all items; ``out[1]`` is 0."""
        scan.histogram(distances, out[0])
        out[1] = 0

    def relevant(self, query: int) -> Bools:
        """No item is."""
        return np.zeros(self._items, np.bool_)


class _Single:
    """One class index each. Items are numbered by the distinct labels of the queries; the rest come last."""

    item_bytes = 8 * 5

    def __init__(self, query: NDArray[Any], database: NDArray[Any]) -> None:
        self._distinct, self.alike = np.unique(query.astype(np.int64), return_inverse=True)
        self._database = database

    def block(self, part: slice) -> _SingleBlock:
        return _SingleBlock(self.alike, self._numbers(part), len(self._distinct))

    def gathered(self, part: slice, codes: Copies) -> Callable[[int], Weighted] | None:
        numbers = self._numbers(part)
        found = pairs(codes.number, numbers, len(numbers) // FEWER)
        if not found:
            return None
        classes = found.each(len(self._distinct))
        return lambda query: classes[self.alike[query]]

    def _numbers(self, part: slice) -> Ints:
        return places_of(self._database[part].astype(np.int64), self._distinct)


def places_of(labels: Ints, distinct: Ints) -> Ints:
    """Where each label stands among the sorted ``distinct`` ones, int64 (n,); their number if it is none."""
    low, span = (int(distinct[0]), int(distinct[-1]) - int(distinct[0])) if len(distinct) else (0, 0)
    if span > _TABLE:
        places = np.searchsorted(distinct, labels)
        places[np.append(distinct, 0)[places] != labels] = len(distinct)
        return places
    table = np.full(span + 2, len(distinct))
    table[distinct - low] = np.arange(len(distinct))
    # Whatever is below wraps around and is far above then.
    return np.asarray(table[np.minimum((labels - low).view(np.uint64), np.uint64(span + 1))])


class _SingleBlock:
    def __init__(self, wanted: Ints, numbers: Ints, distinct: int) -> None:
        # numpy's stable sort of small integers is a radix sort.
        self._wanted, self._numbers = wanted, numbers.astype(np.min_scalar_type(distinct))
        self.order: Ints | None = np.argsort(self._numbers, kind="stable")
        sizes = np.bincount(numbers, minlength=distinct + 1)
        self._stops = sizes.cumsum().tolist()
        self._starts = [0, *self._stops]

    def count(self, query: int, distances: Counts, spare: Counts, out: Counts) -> None:
        number = self._wanted[query]
        scan.histogram(distances, out[0])
        scan.histogram(distances[self._starts[number] : self._stops[number]], out[1])

    def relevant(self, query: int) -> Bools:
        return np.asarray(self._numbers == self._wanted[query])


class _Multi:
    """A set of classes each."""

    def __init__(self, query: NDArray[Any], database: NDArray[Any]) -> None:
        # A bit per query and class; in steps, because what lies between takes a byte.
        steps = range(0, max(len(query), 1), max(10**6 // query.shape[1], 1))
        self._query = np.concatenate([_masks(query[at : at + steps.step]) for at in steps])
        self._database = database
        self.alike: Ints = identical(as_words(self._query)).number
        # 0/1 as given and as bool, the masks twice, what a query shares with them, and that as int32.
        self.item_bytes = 2 * database.shape[1] + 3 * (database.shape[1] // 8 + 8) + 5

    def block(self, part: slice) -> _MultiBlock:
        return _MultiBlock(self._query, _masks(self._database[part]))

    def gathered(self, part: slice, codes: Copies) -> Callable[[int], Weighted] | None:
        masks = _masks(self._database[part])
        most = len(masks) // FEWER
        sets = copies(as_words(masks), most)
        found = sets and pairs(codes.number, sets.number, most)
        if not sets or not found:
            return None
        each = _MultiBlock(self._query, masks[sets.first])
        return lambda query: found.of(each.relevant(query))


class _MultiBlock:
    order: Ints | None = None

    def __init__(self, wanted: NDArray[Any], masks: NDArray[Any]) -> None:
        self._wanted, self._masks = wanted, np.ascontiguousarray(masks.T)

    def count(self, query: int, distances: Counts, spare: Counts, out: Counts) -> None:
        # Relevant items are counted in the second half of the bins.
        spare[:] = self.relevant(query)
        spare *= out.shape[1]
        distances += spare
        scan.histogram(distances, out)
        out[0] += out[1]

    def relevant(self, query: int) -> Bools:
        wanted = self._wanted[query]
        shared = self._masks[0] & wanted[0]
        for word, bits in zip(self._masks[1:], wanted[1:], strict=True):
            shared |= word & bits
        return np.asarray(shared != 0)


class _Listed:
    """The relevant items of each query by their numbers."""

    item_bytes = 1

    def __init__(self, listed: NDArray[Any], queries: int, items: int) -> None:
        if listed.ndim != 2 or not np.issubdtype(listed.dtype, np.integer) or len(listed) != queries:
            form = f"int ({queries}, m), the items that answer each query"
            raise BenchError(f"without database labels, query labels must be {form}, not {describe(listed)}")
        if listed.size and not -1 <= listed.min() <= listed.max() < items:
            raise BenchError(
                f"relevant items must be numbers of the {items} in the database, or -1 for none, not "
                f"{listed.min()} to {listed.max()}"
            )
        ordered = np.sort(listed.astype(np.int64), axis=1)
        ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1  # whatever is listed twice counts once
        self._listed = np.sort(ordered, axis=1)
        self.alike: Ints = np.arange(queries)

    def block(self, part: slice) -> _ListedBlock:
        return _ListedBlock(self._listed, part)

    def gathered(self, part: slice, codes: Copies) -> Callable[[int], Weighted]:
        block = self.block(part)

        def hits(query: int) -> Weighted:
            places = codes.number[block.within(query)]
            return Weighted(places, np.ones_like(places))

        return hits


class _ListedBlock:
    order: Ints | None = None

    def __init__(self, listed: Ints, part: slice) -> None:
        self._listed, self._part = listed, part

    def count(self, query: int, distances: Counts, spare: Counts, out: Counts) -> None:
        scan.histogram(distances, out[0])
        out[1] = np.bincount(distances[self.within(query)], minlength=out.shape[1])

    def relevant(self, query: int) -> Bools:
        found = np.zeros(self._part.stop - self._part.start, np.bool_)
        found[self.within(query)] = True
        return found

    def within(self, query: int) -> Ints:
        """The relevant items of this block, by their place in it."""
        row = self._listed[query]
        first, last = np.searchsorted(row, (self._part.start, self._part.stop))
        return np.asarray(row[first:last] - self._part.start)


def _masks(labels: NDArray[Any]) -> NDArray[Any]:
    """Rows of 0/1 as bit masks, unsigned (n, words), one word of the smallest type that holds them."""
    packed = np.packbits(labels != 0, axis=1)
    width = packed.shape[1]
    size = next((size for size in (1, 2, 4) if width <= size), 8)
    padded = np.pad(packed, ((0, 0), (0, -width % size)))
    return np.ascontiguousarray(padded).view(f"u{size}")
