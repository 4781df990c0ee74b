"""Which array of a file is what: people call the same thing by many names.

A name says the side (query, test, database, trn, ...) and then what it holds (codes, binary, labels, ...),
behind whatever prefix: ``query_codes``, ``cifar10-0.84-trn_binary``, ``_test_labels``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal

from bench.data.array_files import ArrayFile
from bench.errors import DataError, UsageError, did_you_mean, escaped, shortened

Side = Literal["query", "database"]
SIDES: tuple[Side, Side] = ("query", "database")
#: What sides are called. The second row counts where nothing of the first is there: ``trn`` is the database
#: of some programs and the training set of others.
_SIDES: tuple[dict[str, Side], dict[str, Side]] = (
    {
        **dict.fromkeys(("query", "queries", "test", "tst"), SIDES[0]),
        **dict.fromkeys(("database", "db", "retrieval", "gallery", "base"), SIDES[1]),
    },
    {**dict.fromkeys(("validation", "val"), SIDES[0]), **dict.fromkeys(("trn", "train"), SIDES[1])},
)
#: What an array holds, by the last word of its name.
_KINDS = {
    **dict.fromkeys(("codes", "code", "binary", "hash"), "codes"),
    **dict.fromkeys(("embeddings", "embedding", "features", "feature", "feat"), "embeddings"),
    **dict.fromkeys(("outputs", "output"), "embeddings"),
    **dict.fromkeys(("labels", "label", "targets", "target"), "labels"),
    **dict.fromkeys(("ids", "id", "index", "indices"), "ids"),
}
#: What belongs to both sides, and what nobody needs here of what is often beside it.
NEIGHBOURS, BITS, NEEDLESS = "neighbors", "bits", "distances"
#: By these names the codes of images go that ``encode`` writes: one set, without labels.
_ENCODED = {"paths", "fingerprint", "upright"}
#: Everything that an array can be.
ROLES = (*(f"{side}_{kind}" for kind in dict.fromkeys(_KINDS.values()) for side in SIDES), NEIGHBOURS, BITS)


def roles_of(file: ArrayFile, stated: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What the arrays of a file are: role -> name, and the names of those that are nothing.

    Args:
        file: where they are.
        stated: roles whose arrays somebody has named.

    Raises:
        UsageError: ``stated`` has a role or a name that there is not.
        DataError: an array could be anything, or several could be the same; or it is a file of ``encode``.
    """
    if file.arrays.keys() >= _ENCODED:
        raise DataError(f"{file.path}: {_join(file)}")
    for role, name in stated.items():
        if role not in ROLES:
            hint = did_you_mean(role, ROLES) or ";"
            raise UsageError(f"--array {role}: no such role{hint} roles are {', '.join(ROLES)}")
        if name not in file.arrays:
            hint = did_you_mean(name, file.arrays) or ";"
            raise UsageError(
                f"--array {role}={name}: {file.path} has no such array{hint} it has {listed(file)}"
            )
    candidates: dict[str, dict[tuple[int, bool], list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in file.arrays:
        for role, rank in _meanings(file, name):
            candidates[role][rank].append(name)
    found = dict(stated)
    for role, ranked in candidates.items():
        if role not in found:
            best = ranked[min(ranked)]
            if len(best) > 1:
                begin = "" if file.whole else ", or give what the names of one set begin with as the path"
                raise DataError(
                    f"{file.path}: {role} could be {' or '.join(map(_shown, best))}; say which: "
                    f"--array {role}=NAME{begin}"
                )
            found[role] = best[0]
    rest = [name for name in file.arrays if name not in found.values() and name != NEEDLESS]
    unknown = [name for name in rest if not any(_meanings(file, name))]
    if file.whole and unknown:
        name, hint = _shown(unknown[0]), did_you_mean(unknown[0], ROLES) or ";"
        raise DataError(
            f"{file.path}: unknown array {name}{hint} leave it out, or say what it is: --array ROLE={name}, "
            f"with ROLE one of {', '.join(ROLES)}"
        )
    return found, rest


def _join(file: ArrayFile) -> str:
    """How two files of ``encode`` become one that can be judged."""
    kind, bits = ("codes", ", bits=q['bits']") if "codes" in file.arrays else ("embeddings", "")
    made = (
        f"query_{kind}=q['{kind}'], database_{kind}=d['{kind}']{bits}, query_labels=..., database_labels=..."
    )
    return (
        f"one set of {kind} without labels, as 'encode' writes it; queries, database and the labels of both "
        f"belong in one file, with q and d from numpy.load of either: numpy.savez('both.npz', {made})"
    )


def listed(file: ArrayFile) -> str:
    """The names of all arrays, for messages."""
    return shortened(", ".join(map(_shown, file.arrays)))


def _meanings(file: ArrayFile, name: str) -> Iterator[tuple[str, tuple[int, bool]]]:
    """The role that a name says, if any, and how sure that is: the less the surer."""
    words = re.findall(r"[a-z]+|[0-9.]+", name.lower())
    if words in ([NEIGHBOURS], [BITS]):
        yield words[0], (0, False)
        return
    kind = _KINDS.get(words[-1]) if words else None
    if kind is not None:
        words.pop()
    elif len(words) == 1:  # vectors alone, as ann-benchmarks calls them
        hamming = file.distance == "hamming" or file.arrays[name].dtype == bool
        kind = "codes" if hamming else "embeddings"
    if not words or kind is None:
        return
    for doubt, sides in enumerate(_SIDES):
        if side := sides.get(words[-1]):
            yield f"{side}_{kind}", (doubt, len(words) > 1)


def _shown(name: str) -> str:
    """A name that may hold anything, in one line."""
    return shortened(escaped(name))
