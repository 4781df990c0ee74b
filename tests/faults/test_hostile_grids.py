"""Files that are no grid, by accident or on purpose, are refused at once, with place and cure."""

from __future__ import annotations

import pytest

from bench.planning.config import load_grid
from tests.planning.broken import GOOD, load, problems

MANY = GOOD.replace("bits: 16", f"bits: [16, 32]\n  seed: {list(range(2000))}")
BOMB = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]\n" for i in range(60))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"schema: 1\nname: g\x1bd\n", "2:8: character U+001B, which YAML does not allow; remove it"),
        (b"schema: 1\nname: g\x00d\n", "2:8: character U+0000, which YAML does not allow; remove it"),
        (b"schema: 1\r\nname: g\x7f\n", "2:8: character U+007F, which YAML does not allow; remove it"),
        ('schema: 1\nname: "gut" # ü\x9b\n'.encode(), "2:16: character U+009B, which YAML does not allow"),
        (b"schema: 1\nname: g\xffd\n", "2:8: byte 0xff is no part of UTF-8; save the file as UTF-8"),
        (b"schema: 1\nname: g\xed\xa0\x80\n", "2:8: byte 0xed is no part of UTF-8"),
        (GOOD.encode("utf-16"), "1:1: this is UTF-16 or UTF-32; save the file as UTF-8"),
        (GOOD.encode("utf-16-le"), "1:1: this is UTF-16 or UTF-32; save the file as UTF-8"),
        (GOOD.encode("utf-16-be"), "1:1: this is UTF-16 or UTF-32; save the file as UTF-8"),
        (GOOD.encode("utf-32"), "1:1: this is UTF-16 or UTF-32; save the file as UTF-8"),
        (b'schema: 1\nname: "\\ud800"\n', "2:7: character U+D800, by an escape; leave it out"),
        (b'schema: 1\n"na\\0me": x\n', "2:1: character U+0000, by an escape; leave it out"),
        (b'schema: 1\nname: "\\Uffffffff"\n', "2:10: not valid YAML: "),
        (b"%YAML 1." + b"9" * 5000 + b"\n---\nx\n", "1:9: not valid YAML: "),
        (b"[" * 900, "1:65: more than 64 lists and mappings inside each other; a grid has a few"),
        (b"[" * 900_000, "1:65: more than 64 lists and mappings inside each other"),
        (b"{a: " * 900 + b"}" * 900, "1:254: more than 64 lists"),
        (b"".join(b" " * i + b"a:\n" for i in range(900)), "64:64: more than 64 lists"),
        (b"- " * 900, "1:129: more than 64 lists"),
        (b"- a\n" * 100_000, "40000:3: more than 20,000 values; divide the grid into several"),
        (BOMB.encode(), "far too many values; divide the grid into several"),
        (b"a: &a " + b"x" * 9000 + b"\nb: [" + b"*a, " * 1000 + b"]\n", "far too many values"),
        (b"a" * 1_000_001, "1:1: more than 1,000,000 bytes, which the grid never needs; divide it"),
        (b"schema: " + b"1" * 5000, "1:9: '1111"),
        (b"schema: 1e999\n", "1:9: 1e999 is larger than any number can be; write a plain one"),
        (b"schema: !!int x\n", "1:9: 'x' is no number; write a plain one"),
        (b"name: &a [*a]\n", "1:7: an alias that contains itself; write what it stands for"),
        (b"name: " + b"x" * 101 + b"\n", "1:7: name should be up to 100 letters"),
        (MANY.encode(), "4:3: the grid multiplies to 16,000 cells (2 teacher x 2 method x 2 bits x 2000 "
         "seed), more than max_cells: 10,000 allows; set max_cells higher if you mean it"),
    ],
    ids=lambda value: repr(value[:24]),
)  # fmt: skip
def test_a_file_that_is_no_grid(tmp_path, bench, content, expected):
    (tmp_path / "grid.yaml").write_bytes(content)
    result = bench("plan", "--grid", tmp_path / "grid.yaml")
    assert result.code == 2
    assert expected in result.err
    for line in result.err.splitlines():
        assert line.isprintable()
        assert len(line) < 400
    assert "defect" not in result.err


def test_an_alias_is_as_deep_as_what_it_stands_for(tmp_path):
    text = "a0: &a0 x\n" + "".join(f"a{i}: &a{i} {'[' * 60}*a{i - 1}{']' * 60}\n" for i in range(1, 30))
    assert "far too many values" in problems(tmp_path, text)[0]


def test_what_reads_as_utf_8_is_read(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_grid(path).grid.name == "good"


def test_a_limit_that_can_be_raised(tmp_path, bench):
    assert len(load(tmp_path, f"max_cells: 16000\n{MANY}").axes.seed) == 2000
    more = f"{MANY}include: [{{bits: 64}}]\n"
    (found,) = problems(tmp_path, f"max_cells: 16000\n{more}")
    assert found.startswith(
        "grid.yaml:5:3: the grid multiplies to 24,000 cells (2 teacher x 2 method x 2 bits"
    )
    (tmp_path / "grid.yaml").write_text(MANY)
    result = bench("plan", "--grid", tmp_path / "grid.yaml", "--set", "max_cells=0")
    assert "--set max_cells=0:1:1: max_cells should be greater than or equal to 1, not 0" in result.err


def test_an_override_is_a_text_like_any_other(tmp_path):
    for value, expected in (
        ("\udc80", "character U+DC80, which YAML does not allow"),
        ("[" * 900, "more than 64 lists"),
        ("1" * 5000, "is no number"),
    ):
        (found, *_) = problems(tmp_path, GOOD, f"axes.bits={value}")
        assert expected in found
        assert len(found) < 500
