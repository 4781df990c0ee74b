"""Values that no training can have are refused where a grid is read, not after hours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import Field, ValidationError

from bench.registry import REGISTRIES
from bench.types import HashingParameters, Parameters
from tests.planning.broken import problems

EXTREME = ("1e308", "-1e308", "1e20", "100000000000000000000", "18446744073709551616", "1e999", ".nan",
           ".inf", "-.inf", "-1", "1e-320")  # fmt: skip
GRID = """\
schema: 1
name: extreme
defaults: {image_size: 16}
axes:
  dataset: [synthetic]
  student: [cukd_v1]
  method: [none]
  loss: [csq]
  bits: [16]
  seed: [0]
"""
AXES = {"datasets": "dataset", "methods": "method", "losses": "loss"}


def numeric_parameters(kind: str) -> Iterator[tuple[str, str, str]]:
    """Plug-in, parameter and how its value is written, of every one that is a number or a list of them."""
    for name in REGISTRIES[kind].names():
        properties = REGISTRIES[kind].get(name).Params.model_json_schema().get("properties", {})
        for parameter, schema in properties.items():
            kinds = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
            if any(one.get("type") in {"integer", "number"} and "enum" not in one for one in kinds):
                yield name, parameter, "[{}]" if "items" in schema else "{}"


@pytest.mark.parametrize("kind", AXES)
def test_no_parameter_is_extreme(tmp_path, kind):
    tried = [(*one, value) for one in numeric_parameters(kind) for value in EXTREME]
    assert len(tried) > 200
    lines = [
        f"  - {{name: {name}, params: {{{parameter}: {form.format(value)}}}}}"
        for name, parameter, form, value in tried
    ]
    text = "\n".join([f"{GRID}include:\n- {AXES[kind]}:", *lines])
    told = {int(problem.split(":")[1]): problem for problem in problems(tmp_path, text)}
    for line, (name, parameter, _, value) in enumerate(
        tried, start=text[: text.index(lines[0])].count("\n") + 1
    ):
        wanted = "1e999 is larger than any number can be" if value == "1e999" else parameter
        assert wanted in told[line], (name, parameter, value)


@pytest.mark.parametrize("value", EXTREME)
def test_no_parameter_of_a_metric_is_extreme(tmp_path, value):
    tried = list(numeric_parameters("metrics"))
    assert len(tried) > 20
    names = sorted({name for name, _, _ in tried})
    lines = [
        f"  {name}: {{{', '.join(f'{p}: {form.format(value)}' for n, p, form in tried if n == name)}}}"
        for name in names
    ]
    found = problems(tmp_path, "\n".join([f"{GRID}measure:", *lines]))
    assert len(found) == len(tried)
    for problem in found:
        assert "1e999 is larger" in problem or " should be " in problem


def test_plug_ins_inherit_bounds():
    class Mine(HashingParameters):
        lr: float = Field(1e-5, gt=0)
        epochs: int = 5
        tried: tuple[int, ...] = ()
        weight: float = 1.0
        file: str = ""

    assert Mine.of({"lr": 1e-7, "epochs": 100_000, "weight": -1e9, "tried": [0, -4], "file": "x" * 4000})
    for name, value, wanted in (
        ("lr", 1e4, "lr should be at most 1,000, not 10000.0"),
        ("epochs", 10**18, "epochs should be at most 100,000, not 1000000000000000000"),
        ("batch_size", 10**12, "batch_size should be at most 65,536"),
        ("eval_every", 2**64, "eval_every should be at most 4,294,967,295 in size"),
        ("tried", [1, 2**64], "tried should be at most 4,294,967,295 in size"),
        ("weight", -1e10, "weight should be 0, or 1e-15 to 1e.09 in size, not -1e.10"),
        ("weight", 1e-20, "weight should be 0, or"),
        ("file", "x" * 5000, "file should have at most 4,000 characters, not 5,000"),
        ("file", "a\0b", r"file should have no character U\+0000"),
    ):
        with pytest.raises(ValidationError, match=wanted):
            Mine.of({name: value})
    for base in (Parameters, HashingParameters):
        assert base()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("axes.seed", 2**64, "axes.seed should be less than or equal to 4294967295, not 18446744"),
        ("axes.seed", -1, "axes.seed should be greater than or equal to 0, not -1"),
        ("axes.bits", 10**9, "axes.bits should be less than or equal to 4096, not 1000000000"),
        ("axes.bits", ".nan", 'axes.bits should be a valid integer, not ".nan"'),
        ("defaults.image_size", 10**9, "image_size should be less than or equal to 2048"),
        ("protocol.k", "1e20", "protocol.k should be a valid integer"),
        ("protocol.k", 10**20, "protocol.k should be less than or equal to 4294967295"),
        ("defaults.finetune.lr", "1e308", "lr should be at most 1,000, not 1e+308"),
        ("defaults.finetune.lr", ".inf", 'defaults.finetune.lr should be a valid number, not ".inf"'),
        ("defaults.distill.epochs", 10**18, "epochs should be at most 100,000, not 1000000000000000000"),
        ("defaults.finetune.batch_size", 10**12, "batch_size should be at most 65,536"),
        ("axes.dataset.params.per_class", "1e11", "per_class of dataset 'synthetic' should be a valid"),
        ("axes.dataset.params.per_class", 10**11, "per_class of dataset 'synthetic' should be less than or"),
        ("axes.dataset.params.side", 1024, "x side should be at most 100,000,000, not 167,772,160"),
        ("axes.dataset.params.train_per_class", 10**6, "has 40 images, fewer than query_per_class"),
        ("axes.student.params.weights", "x" * 5000, "weights should have at most 4,000 characters, not 5,0"),
        ("axes.student.params.weights", '"a\\0b"', "character U+0000, by an escape; leave it out"),
        ("measure.search", "{indexes: [ivf], nlist: 3000}", "search: nlist is 3000, but there are"),
        ("measure.search", "{indexes: [multihash], tables: 33}", "33 tables of 1 bits need longer codes"),
        ("report.examples", -1, "examples should be greater than or equal to 0"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_plan_refuses(tmp_path, bench, key, value, expected):
    text = GRID.replace("[synthetic]", "{name: synthetic, params: {}}").replace(
        "[cukd_v1]", "{name: cukd_v1, params: {}}"
    )
    (tmp_path / "grid.yaml").write_text(text)
    result = bench("plan", "--grid", "grid.yaml", "--set", f"{key}={value}")
    assert result.code == 2, result
    assert expected in result.err
    assert result.err.startswith(("error: --set ", "error: grid.yaml:"))
    assert len(result.err.splitlines()) == 1
    assert len(result.err) < 700
