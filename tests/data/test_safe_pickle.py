"""The restricted reader of pickles: data come through whole, everything else is refused by name."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.data import safe_pickle
from bench.errors import DataError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(st.integers(), max_size=4)
        | st.frozensets(st.text(max_size=3), max_size=4)
    ),
    max_leaves=10,
)
shared_folder = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(value=plain, protocol=st.sampled_from(PROTOCOLS))
@shared_folder
def test_plain_values_come_through(tmp_path, value, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert safe_pickle.load(path) == value


@given(data=st.data(), protocol=st.sampled_from(PROTOCOLS), fortran=st.booleans())
@shared_folder
def test_arrays_come_through(tmp_path, data, protocol, fortran):
    kinds = st.sampled_from(["u1", "<i8", ">i4", "<f4", ">f8", "?", "S3", "<U4", ">U2", "c16"])
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    array = np.array(
        data.draw(arrays.arrays(data.draw(kinds), data.draw(shapes))), order="F" if fortran else "C"
    )
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"x": [array, array], "y": (array,)}, protocol))
    read = safe_pickle.load(path)
    for found in (*read["x"], *read["y"]):
        assert type(found) is np.ndarray
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        np.testing.assert_array_equal(found, array)
    assert read["x"][0] is read["x"][1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_of_numpy_and_ordered_mappings_come_through(tmp_path, protocol):
    value = OrderedDict(a=np.float32(0.1), b=np.int64(-3), c=np.bool_(True))
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert safe_pickle.load(path) == value


def test_files_of_python_2_come_through(tmp_path):
    # A dict of a byte string and of a uint8 array, in the words that Python 2 and numpy 1 write.
    path = tmp_path / "a.pkl"
    path.write_bytes(
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04"
        b"K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|"
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\xfd\xfe\xfftbU\x05labelq\x08U\x02\xe9!u."
    )
    read = safe_pickle.load(path, "bytes")
    np.testing.assert_array_equal(read[b"data"], np.array([[0, 1, 2], [253, 254, 255]], np.uint8))
    assert read[b"label"] == b"\xe9!"
    assert safe_pickle.load(path, "latin1")["label"] == "\xe9!"
    np.testing.assert_array_equal(safe_pickle.load(path, "latin1")["data"], read[b"data"])
    with pytest.raises(DataError, match="damaged"):
        safe_pickle.load(path, "ASCII")


class Calls:
    """Unpickles as a call."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, protocol):
    path, mark = tmp_path / "evil.pkl", tmp_path / "mark"
    path.write_bytes(pickle.dumps({"data": [Calls(os.system, f"touch {mark}")]}, protocol))
    with pytest.raises(DataError, match=rf"{path}: refused, it asks for '(posix|nt)\.system'"):
        safe_pickle.load(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        Fraction(1, 2),
        Calls(eval, "1"),
        Calls(getattr, "x", "upper"),
        Calls(np.load, "x"),
        np.array([object()]),
        np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
        np.array(["2020-01-01"], dtype="M8[D]"),
        np.ma.masked_array([1, 2], [0, 1]),
        np.dtype,
        range(3),
        b"".join,
    ],
    ids=range(11),
)
def test_whatever_is_no_data_is_refused(tmp_path, value):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([value] if value is not np.dtype else Calls(np.ndarray, (4,)), 4))
    with pytest.raises(DataError, match="refused|damaged"):
        safe_pickle.load(path)


def test_codecs_other_than_latin1_are_refused(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(DataError, match="refused.*rot13"):
        safe_pickle.load(path)


def test_a_forged_type_never_reaches_numpy(tmp_path):
    # 8 bytes declared as a record of one object, flags cleared: numpy would take them for a pointer.
    path = tmp_path / "a.pkl"
    forged = (
        b"cnumpy\ndtype\n(VV8\nI00\nI01\ntR(I3\nV|\nN(Vf\nt(dVf\n"
        b"(cnumpy\ndtype\n(VO8\nI00\nI01\ntRI0\ntsI8\nI1\nI0\ntb."
    )
    path.write_bytes(forged)
    with pytest.raises(DataError, match="refused, it asks for an array of type 'V8'"):
        safe_pickle.load(path)
    path.write_bytes(forged.replace(b"VV8", b"VS8"))
    with pytest.raises(DataError, match="refused, it asks for an array of"):
        safe_pickle.load(path)


def test_what_the_reader_hands_out_cannot_be_changed_nor_kept(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"c_codecs\nencode\n(N(dV__defaults__\n(Vrot13\ntstb.")
    with pytest.raises(DataError, match="refused, it asks for a function"):
        safe_pickle.load(path)
    path.write_bytes(pickle.dumps(b"abc", 0))
    assert safe_pickle.load(path) == b"abc"
    for content in (b"cnumpy\ndtype\n.", b"cnumpy\ndtype\n(N(dVdtype\nI1\nstb.", b"c__builtin__\nset\n."):
        path.write_bytes(content)
        with pytest.raises(DataError, match="refused, it asks for a (type|function or class)"):
            safe_pickle.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps(list(range(100)))[:50],
        b"\x80\x04]\x94h\x05.",
        pickle.dumps(np.arange(9))[:-20],
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(I1\nI2\ntR.",
        b"(lp0\n" * 50_000 + b"a" * 49_999 + b".",
    ],
    ids=range(8),
)
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"{path}: (damaged|refused, it asks for (an array without values|data that nest))"
    ):
        safe_pickle.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent.pkl"):
        safe_pickle.load(tmp_path / "absent.pkl")


def test_lists_that_hold_themselves_come_through(tmp_path):
    value = [1, np.arange(2)]
    value.append(value)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value))
    read = safe_pickle.load(path)
    assert read[2] is read
    np.testing.assert_array_equal(read[1], [0, 1])
