"""Whichever form codes have, the answer is that of packed ones; what could be two things is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.hamming import (
    average_precision,
    distance_histograms,
    hamming_search,
    pack_codes,
    popcount_distances,
)
from bench.hamming.codes import pack_signs, packed_pair

#: Bits as people hold them, from bools, and whether ``bits`` has to be said.
FORMS: dict[str, tuple[Any, bool]] = {
    # Not 0 alone, even where all bits are set: that would be bits where ``bits`` is said.
    "real": (lambda bits: np.where(bits, 0.2 * (np.arange(bits.shape[1]) % 2 == 0), -0.3), False),
    "half": (lambda bits: np.where(bits, 2, -1e-3).astype(np.float16), False),
    "signs": (lambda bits: np.where(bits, 1, -1), False),
    "signs of one byte": (lambda bits: np.where(bits, 1, -1).astype(np.int8), False),
    "signs as floats": (lambda bits: np.where(bits, 1.0, -1.0).astype(np.float32), False),
    "bools": (lambda bits: bits, False),
    "list": (lambda bits: np.where(bits, 1, -1).tolist(), False),
    "tensor": (lambda bits: torch.from_numpy(np.where(bits, 1.0, -1.0)), False),
    "tensor of bools": (torch.from_numpy, False),
    "column order": (lambda bits: np.asfortranarray(np.where(bits, 1, -1)), False),
    "0 and 1": (lambda bits: bits.astype(np.int64), True),
    "0 and 1 of one byte": (lambda bits: bits.astype(np.uint8), True),
    "0 and 1 as floats": (lambda bits: bits.astype(np.float32), True),
    "packed": (lambda bits: np.packbits(bits, axis=1), False),
    "packed and said": (lambda bits: np.packbits(bits, axis=1), True),
}
FORM = st.sampled_from(sorted(FORMS))
some = settings(max_examples=120, deadline=None)


@some
@given(st.integers(1, 70), st.integers(0, 2**32 - 1), FORM, FORM)
def test_every_form_gives_the_answers_of_packed_codes(bits: int, seed: int, one: str, two: str) -> None:
    rng = np.random.default_rng(seed)
    plain = rng.random((3, bits)) < 0.5, rng.random((9, bits)) < 0.5
    labels = rng.integers(3, size=3), rng.integers(3, size=9)
    packed = [np.packbits(part, axis=1) for part in plain]
    told = {"bits": bits}
    arrays = FORMS[one][0](plain[0]), FORMS[two][0](plain[1])
    small = {"packed", "packed and said", "0 and 1 of one byte"}
    said = any(FORMS[form][1] for form in (one, two))
    # Few and short packed codes can be of bytes 0 and 1 alone by chance.
    bytewise = [part for form, part in zip((one, two), packed, strict=True) if form in small]
    chance = bytewise and all(part.max() < 2 for part in bytewise)
    length = told if said or chance else {}
    for function in (average_precision, distance_histograms):
        np.testing.assert_array_equal(
            function(*arrays, *labels, **length), function(*packed, *labels, **told)
        )
    for found, expected in zip(
        hamming_search(*arrays, 4, **length), hamming_search(*packed, 4, **told), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    distances = (plain[0][:, None] != plain[1]).sum(axis=2)
    np.testing.assert_array_equal(popcount_distances(*arrays, **length), distances)


@some
@given(st.integers(1, 70), st.integers(0, 2**32 - 1), FORM.filter(lambda form: "packed" not in form))
def test_packing_is_numpys(bits: int, seed: int, form: str) -> None:
    plain = np.random.default_rng(seed).random((5, bits)) < 0.5
    make, said = FORMS[form]
    np.testing.assert_array_equal(pack_codes(make(plain), bits=bits), np.packbits(plain, axis=1))
    if not said:
        np.testing.assert_array_equal(pack_codes(make(plain)), np.packbits(plain, axis=1))


def test_packed_codes_are_taken_as_they_are() -> None:
    codes = np.array([[3, 0], [0, 1]], np.uint8)
    assert packed_pair(codes, codes, None)[0] is codes


@pytest.mark.parametrize("columns", [1, 8, 64])
def test_bytes_of_0_and_1_alone_have_to_be_explained(columns: int) -> None:
    codes, labels = (
        np.random.default_rng(0).integers(2, size=(20, columns), dtype=np.uint8),
        np.arange(20) % 2,
    )
    cure = (
        rf"pass bits={columns} if a column is a bit, bits={8 * columns} if it is a byte, or pack them first"
    )
    for call in (average_precision, distance_histograms):
        with pytest.raises(BenchError, match=cure):
            call(codes, codes, labels, labels)
    with pytest.raises(BenchError, match=cure):
        hamming_search(codes, codes, 3)
    whole = distance_histograms(codes, codes, labels, labels, bits=8 * columns)[0]
    assert whole.shape == (20, 8 * columns + 1)
    assert distance_histograms(codes, codes, labels, labels, bits=columns)[0].shape[1] <= columns + 8
    # One larger byte on either side shows that both are packed.
    other = codes.copy()
    other[-1, 0] = 2
    for pair in ((codes, other), (other, codes)):
        np.testing.assert_array_equal(hamming_search(*pair, 3), hamming_search(*pair, 3, bits=8 * columns))


def test_a_single_bit_is_told_by_its_place() -> None:
    bare, packed = np.array([[0], [1]], np.uint8), np.array([[0], [128]], np.uint8)
    assert popcount_distances(bare, packed, bits=1).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("codes", "bits", "message"),
    [
        (np.array([[0, 1]]), None, "are 0 and 1 alone, and the sign of both is .1; pass bits=2"),
        (np.array([[0.0, 1.0]]), None, "are 0 and 1 alone, and the sign of both is .1; pass bits=2"),
        (np.array([[0, 1]], np.uint8), None, "are 0 and 1 alone"),
        (np.zeros((2, 8), np.uint8), None, "are 0 and 1 alone"),
        (np.array([[-1, 0, 1]]), None, "int64 .1, 3. of other values than -1 and .1"),
        (np.array([[-1, 1, 3]], np.int8), 3, "int8 .1, 3. of other values than -1 and .1"),
        (np.array([[7, 200]], np.uint8), None, "uint8 .1, 2. of other values"),
        (np.ones((1, 8)), 16, "bits is 16, but codes to pack have 8 columns, one for each bit"),
        (np.zeros(8), None, "must be floats, bools or -1 and .1 .n, bits., .* not float64 .8,."),
        (np.zeros((2, 0)), None, "must be floats"),
        (np.zeros((2, 2), complex), None, "must be floats"),
        ([["a", "b"]], None, "must be floats"),
        ([[1], [1, 1]], None, "nothing that numpy can read"),
        (torch.ones(2, 8, requires_grad=True), None, "nothing that numpy can read: .*detach"),
    ],
)  # fmt: skip
def test_what_cannot_be_packed_is_one_line_with_the_cure(codes: Any, bits: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message) as error:
        pack_codes(codes, bits=bits)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("query", "database", "bits", "message"),
    [
        (np.ones((1, 60)), np.ones((1, 64)), None, "query codes have 60 bits, database codes 64"),
        (np.ones((1, 60)), np.ones((1, 9), np.uint8) * 7, None, "query codes have 8 bytes, database codes 9"),
        (np.ones((1, 8)), np.ones((1, 8), np.uint8), 64, "bits is 64, but query codes have 8 columns"),
        (*[np.ones((1, 10), np.uint8)] * 2, 64, "codes of 64 bits have 8 columns packed and 64 unpacked"),
        (*[np.full((1, 16), 3, np.uint8)] * 2, 16, "query codes are uint8 .1, 16. of other values"),
    ],
)  # fmt: skip
def test_codes_that_do_not_go_together(query: Any, database: Any, bits: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        hamming_search(query, database, 1, bits=bits)


@pytest.mark.parametrize(
    ("change", "cure"),
    [
        (
            lambda u: 1 / (1 + np.exp(-u)),
            "subtract the threshold first, 0.5 for sigmoid outputs, or pass bools",
        ),
        (
            lambda u: np.maximum(u, 0).astype(np.float16),
            "without a negative value, so that every bit would be 1",
        ),
        (lambda u: pack_codes(u).astype(np.float64), "if they are packed bytes, hold them as uint8"),
        (lambda u: 2 + np.tile(u[:1].clip(0), (40, 1)), "so that every bit would be 1"),
    ],
    ids=["sigmoid", "ReLU", "bytes as floats", "constant rows"],
)
def test_floats_without_a_negative_value_are_refused(change: Any, cure: str) -> None:
    """As signs they would be one code for everything; what is beside them may be right."""
    u = np.random.default_rng(0).standard_normal((40, 32))
    for call in (lambda: pack_codes(change(u)), lambda: hamming_search(np.sign(u[:3]), change(u), 1)):
        with pytest.raises(BenchError, match=cure) as error:
            call()
        assert "\n" not in str(error.value)
    assert (pack_signs(np.abs(u)) == 255).all()
    # With the threshold at zero they are codes, and few values may be positive by chance.
    assert pack_codes(1 / (1 + np.exp(-u)) - 0.5).tolist() == pack_codes(u).tolist()
    for few in (u[:1], u[:3, :21]):
        assert pack_codes(1 + np.abs(few)).tolist() == pack_codes(np.ones(few.shape)).tolist()


def test_a_collapsed_network_may_be_judged() -> None:
    for constant in (0.0, 0.3, 7.0):
        assert (pack_codes(np.full((40, 32), constant)) == 255).all()


def test_bits_behind_the_last_are_refused() -> None:
    """They would add to distances: codes of 12 bits were up to 14 apart."""
    codes = np.array([[0, 0], [255, 0b11110011], [255, 0b11110000]], np.uint8)
    with pytest.raises(
        BenchError, match=r"1 of 3 database codes have bits set behind the last of 12,"
    ) as error:
        popcount_distances(codes[::2], codes, bits=12)
    assert "\n" not in str(error.value)
    assert popcount_distances(codes[::2], codes[::2], bits=12).max() == 12
    # Of 16 bits all are the code's own, of 15 the last but one is.
    assert popcount_distances(codes, codes, bits=16).max() == 14
    assert popcount_distances(codes & 254, codes & 254, bits=15).max() == 12
    with pytest.raises(BenchError, match="1 of 2 query codes have bits set behind the last of 1,"):
        popcount_distances(*[np.array([[1], [128]], np.uint8)] * 2, bits=1)


@pytest.mark.parametrize("bits", ["32", 32.0, 0, -8, True, [32], np.float32(32)], ids=repr)
def test_a_length_that_is_none_is_one_line(bits: Any) -> None:
    codes, labels = np.full((4, 4), 7, np.uint8), np.arange(4)
    for call in (
        lambda: average_precision(codes, codes, labels, labels, bits=bits),
        lambda: pack_codes(codes, bits=bits),
    ):
        with pytest.raises(
            BenchError, match=r"^bits must be the code length, a whole number of at least 1, not .*$"
        ):
            call()
    whole = average_precision(codes, codes, labels, labels, bits=np.int16(32))  # type: ignore[arg-type]
    assert whole.shape == (4,)


@pytest.mark.parametrize("k", ["5", 2.5, [1]], ids=repr)
def test_a_rank_that_is_none_is_one_line(k: Any) -> None:
    codes, labels = np.full((4, 4), 7, np.uint8), np.arange(4)
    with pytest.raises(BenchError, match=r"^k is .*; it must be at least 1 and whole, or None"):
        average_precision(codes, codes, labels, labels, k=k)
    with pytest.raises(BenchError, match=r"^k is .*; it must be between 1 and the 4 codes"):
        hamming_search(codes, codes, k)


class TestSigns:
    def test_zero_is_positive(self) -> None:
        packed = pack_codes(np.array([[0.0, -0.0, -1e-30, np.inf, -np.inf, 3, -3, 1e-30]], np.float32))
        assert packed.dtype == np.uint8
        assert packed.tolist() == [[0b11010101]]

    def test_fill_bits_are_zero(self) -> None:
        assert pack_codes(np.ones((2, 12))).tolist() == [[255, 0b11110000]] * 2

    def test_nan(self) -> None:
        u = np.zeros((5, 8))
        u[3, 1] = u[4, 2] = np.nan
        for pack in (pack_codes, pack_signs):
            with pytest.raises(BenchError, match="2 of 5 rows to pack hold NaN, the first is row 3"):
                pack(u)

    def test_outputs_of_a_network_may_be_anything(self) -> None:
        """A collapsed network must not fail for looking like bits."""
        assert pack_signs(np.array([[0.0, 1.0] * 4])).tolist() == [[255]]
        for constant in (0.0, 1.0):
            assert pack_codes(np.full((2, 8), constant)).tolist() == [[255]] * 2


def test_popcount_distances_by_hand() -> None:
    query, database = np.array([[0b1010, 0]], np.uint8), np.array([[0b1010, 0], [0b0101, 0b11]], np.uint8)
    assert popcount_distances(query, database).tolist() == [[0, 6]]
