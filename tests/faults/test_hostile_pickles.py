"""Whatever a pickle asks for: values, or one line that says where, in little time and memory."""

from __future__ import annotations

import io
import pickle
import pickletools
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.data import safe_pickle
from bench.data.pickled_sizes import NESTING, PARTS_OF_KEYS
from bench.errors import DataError
from tests.faults.fuzzing import damaged, fuzz

#: A pair whose halves are one pair whose halves are one pair ..., remembered under its depth.
PAIRS = b")" + b"".join(b"q%c0h%ch%c\x86" % (n, n, n) for n in range(200))
SHARED_LISTS = b"]" + b"".join(b"q%c0(h%ch%cl" % (n, n, n) for n in range(40))
#: A megabyte, once as text and once as bytes.
TEXT, RAW = (code + (10**6).to_bytes(4, "little") + b"a" * 10**6 for code in (b"X", b"B"))
ENCODE = b"c_codecs\nencode\nq\x01X\x06\x00\x00\x00latin1q\x02"


def collided(count: int) -> bytes:
    """A mapping whose keys all have the hash 0."""
    numbers = b"".join(
        b"\x8a" + bytes([len(raw)]) + raw + b"N"
        for raw in ((n * (2**61 - 1)).to_bytes(12, "little") for n in range(1, count))
    )
    return b"}(" + numbers + b"u."


HOSTILE = {
    "a large index": b"Nr\xff\xff\xff\x7f0.",
    "a large index in a line": b"Np99999999999999999999\n0.",
    "pairs as a key": b"}(" + PAIRS + b"Nu.",
    "pairs as a member": b"\x8f(" + PAIRS + b"\x90.",
    "pairs in a call": b"c__builtin__\nset\n(](" + PAIRS + b"etR.",
    "pairs in a frozen set": b"(" + PAIRS + b"\x91.",
    "pairs as a key of a mapping in one go": b"(" + PAIRS + b"Nd.",
    "a deep key": b"}()" + b"\x85" * 100_000 + b"Ns.",
    "equal hashes": collided(100_000),
    "lists of lists": SHARED_LISTS + b".",
    "deep lists": b"]" + b"]" * 100_000 + b"a" * 100_000 + b".",
    "deep tuples": b")" + b"\x85" * 100_000 + b".",
    "bytes that are not there": b"B\xff\xff\xff\x7fabc.",
    "more bytes than addresses": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "less than no bytes": b"T\xff\xff\xff\xffabc.",
    "a frame that is not there": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff]",
    "a number of many digits": b"L" + b"9" * 10**6 + b"L\n.",
    "a type of many parts": b"cnumpy\ndtype\n(V" + b"f8," * 10**5 + b"\ntR.",
    "the same bytes made again and again": ENCODE
    + TEXT + b"q\x000(" + b"h\x01h\x00h\x02\x86R" * 5000 + b"l.",
    "the same set made again and again": b"c__builtin__\nset\nq\x01](" + b"M\x00\x01" * 9999 + b"eq\x000("
    + b"h\x01h\x00\x85R" * 9999 + b"l.",
    "the same array made again and again": RAW
    + b"q\x000cnumpy.core.numeric\n_frombuffer\nq\x01cnumpy\ndtype\n(VB1\ntRq\x020("
    + b"h\x01(h\x00h\x02K\x00\x85VC\ntR" * 3000 + b"l.",
    "an object": b"(i__main__\nA\n.",
    "something of another process": b"P1\n.",
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_would_take_all_memory_or_time_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    begun = time.monotonic()
    with pytest.raises(DataError, match=rf"^{path}: (refused|damaged).*byte \d+") as refused:
        safe_pickle.load(path)
    assert time.monotonic() - begun < 20
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("steps", [5_000, pytest.param(safe_pickle.INSTRUCTIONS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", [b"N0", b"(1", b"\x8f\x94", b"]"])
def test_too_many_steps_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: bytes, steps: int
) -> None:
    monkeypatch.setattr(safe_pickle, "INSTRUCTIONS", steps)
    (tmp_path / "a.pkl").write_bytes(b"(" + step * steps + b"l.")
    begun = time.process_time()
    with pytest.raises(DataError, match=rf"refused, it asks for more than {steps:,} steps"):
        safe_pickle.load(tmp_path / "a.pkl")
    assert time.process_time() - begun < 5


def test_all_of_them_fit_into_a_gigabyte(tmp_path: Path) -> None:
    figures = fuzz(read_kept, [b"."], tmp_path / "a.pkl", change=one_of_the_hostile)
    figures.check()
    assert figures.refused == figures.tried


def one_of_the_hostile(sound: Sequence[bytes], rng: random.Random) -> bytes:
    return rng.choice([content for content in HOSTILE.values() if len(content) < 10**5])


def test_data_of_the_usual_forms_stay_readable(tmp_path: Path) -> None:
    """Sharing, keys of several parts and nesting are refused by their amount alone."""
    row = list(range(100))
    nested: list = []
    for _ in range(NESTING - 2):
        nested = [nested]
    value = {
        "shared": [row] * 1000,
        "keys": {(n, "a"): n for n in range(PARTS_OF_KEYS // 4)},
        "sets": {frozenset({1, 2}), frozenset({3})},
        "nested": nested,
        "large": [2**100, -(2**70), 3.5, True, None],
        "text": ["ä\n", b"\x00"],
        "ordered": OrderedDict(b=1, a=2),
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol))
        assert safe_pickle.load(tmp_path / "a.pkl") == value


def test_an_array_takes_the_place_of_what_stood_for_it(tmp_path: Path) -> None:
    """It is remembered before it has values, and used twice after."""
    array = np.arange(6).reshape(2, 3)
    (tmp_path / "a.pkl").write_bytes(pickletools.optimize(pickle.dumps([array, (array, {"a": array})], 2)))
    first, (second, third) = safe_pickle.load(tmp_path / "a.pkl")
    assert first is second is third["a"]
    np.testing.assert_array_equal(first, array)


def test_a_hundred_thousand_labels_take_a_second(tmp_path: Path) -> None:
    """About what a published batch holds; the arrays in it cost no steps."""
    value = {b"fine": list(range(100_000)), b"data": np.zeros((1000, 3072), np.uint8)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, 2))
    begun = time.process_time()
    assert safe_pickle.load(tmp_path / "a.pkl")[b"fine"][-1] == 99_999
    assert time.process_time() - begun < 2


def sound() -> list[bytes]:
    """Pickles as data sets have them, in all protocols."""
    value = {
        "data": np.arange(24, dtype=np.uint8).reshape(4, 6),
        "labels": [3, 1, 2**40, -1],
        "names": ["a.png", "ä.png", b"c.png"],
        "gnd": [{"bbx": [1.5, 2.0], "easy": np.array([1, 2]), "hard": [], "shared": (1, (2, 3))}] * 2,
        "set": {1, 2},
        "scalar": np.float32(2.0),
        "ordered": OrderedDict(a=1),
    }
    return [pickle.dumps(value, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]


def changed_steps(whole: Sequence[bytes], rng: random.Random) -> bytes:
    """Instructions left out, repeated, mixed with those of others or with hostile ones; or bytes alone."""
    if rng.random() < 0.4:
        return damaged(whole, rng)
    parts = [split(content) for content in rng.sample(list(whole), 2)]
    result = list(parts[0])
    for _ in range(rng.choice([1, 2, 4, 16])):
        place = rng.randrange(len(result))
        change = rng.randrange(4)
        if change == 0:
            del result[place]
        elif change == 1:
            result.insert(place, rng.choice(parts[1]))
        elif change == 2:
            result[place:place] = result[place : place + rng.randrange(9)] * rng.choice([1, 300])
        else:
            result.insert(place, rng.choice(STRANGE))
        if not result:
            return b""
    return b"".join(result)


STRANGE = [
    *(
        b"r\xff\xff\xff\x7f",
        b"j\xff\x00\x00\x00",
        b"2",
        b"2\x86",
        b"2\x85",
        b"0",
        b"1",
        b"(",
        b"R",
        b"b",
        b"s",
    ),
    *(b"a", b"e", b"u", b"d", b"\x90", b"\x91", b"\x8f", b"\x93", b"\x81", b"\x92", b"cos\nsystem\n", b"."),
    *(b"M\xff\xff", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"N"),
    *(b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"t", b"\x85"),
]


def split(content: bytes) -> list[bytes]:
    """A pickle's instructions, each as its bytes."""
    places = [place for _, _, place in pickletools.genops(io.BytesIO(content))]
    return [content[a:b] for a, b in zip(places, [*places[1:], len(content)], strict=True)]


def read_kept(path: Path) -> object:
    return safe_pickle.load(path, "latin1")


def test_damaged_pickles_are_values_or_one_line(tmp_path: Path) -> None:
    figures = fuzz(read_kept, sound(), tmp_path / "a.pkl", change=changed_steps)
    figures.check()
    assert figures.refused > figures.tried / 3
