"""Freed memory is kept inside, whatever is nested in it, and given back at the end."""

from __future__ import annotations

import pytest

from bench.training import allocator


class Library:
    """A C library that notes what it is asked."""

    def __init__(self, accepts: int = 1) -> None:
        self.asked: list[tuple[int, ...]] = []
        self.accepts = accepts

    def mallopt(self, parameter, value):
        self.asked.append((parameter, value))
        return self.accepts

    def malloc_trim(self, pad):
        self.asked.append((pad,))


@pytest.fixture
def library(monkeypatch):
    found = Library()
    monkeypatch.setattr(allocator, "_glibc", lambda: found)
    return found


def test_nested_use_ends_with_the_outermost(library):
    with allocator.kept():
        with allocator.kept():
            pass
        assert (0,) not in library.asked
        inside = dict(call for call in library.asked if len(call) == 2)
        assert inside == {allocator._MMAP_THRESHOLD: 1 << 30, allocator._TRIM_THRESHOLD: 2**31 - 1}
    assert library.asked[-3:] == [
        (allocator._MMAP_THRESHOLD, 32 << 20), (allocator._TRIM_THRESHOLD, 64 << 20), (0,),
    ]  # fmt: skip


def test_a_library_that_takes_no_such_size_is_left_alone(library):
    library.accepts = 0
    with allocator.kept():
        pass
    assert library.asked == [(allocator._MMAP_THRESHOLD, 1 << 30)]


def test_an_error_inside_ends_it_too(library):
    with pytest.raises(ValueError, match="inside"), allocator.kept():
        raise ValueError("inside")
    assert library.asked[-1] == (0,)
    assert allocator._depth == 0


def test_other_systems_do_without(monkeypatch):
    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    with allocator.kept():
        assert allocator._depth == 0
