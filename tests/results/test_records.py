"""Records: what is written is read back, what is newer or damaged is refused."""

from __future__ import annotations

import json

import pytest

from bench import environment
from bench.errors import RecordError
from bench.results import records
from bench.storage import sealed
from tests.recorded import write_json


@pytest.fixture
def record() -> records.Record:
    return records.Record(
        key="k" * 64,
        cell_key="c" * 64,
        status="ok",
        cell=records.CellInfo(
            dataset="digits",
            protocol={"split": "x", "k": "all"},
            teachers=[],
            student="cukd_v1",
            method="none",
            loss="csq",
            bits=16,
            seed=0,
            image_size=32,
        ),
        params={"loss": {"lr": 0.1}},
        metrics={
            "map@all:expected:relevant": records.Measured(
                value=0.5, unit="", higher_is_better=True, noise="seeded", interval=(0.4, 0.6)
            ),
            "latency_ms@1": records.Measured(
                value=2.0, unit="ms", higher_is_better=False, noise="timed", samples=[1.0, 2.0, 3.0]
            ),
        },
        stages={"finetune": records.StageInfo(key="f", seconds=1.0, cached=False)},
        environment=environment.describe("cpu", 2, "fp32"),
        created="2026-01-01T00:00:00+00:00",
    )


def test_a_record_survives_the_disk(record, tmp_path):
    path = tmp_path / "records" / "r.json"
    records.save(record, path)
    assert records.load(path) == record
    assert [file.name for file in path.parent.iterdir()] == ["r.json"]


def test_metrics_are_found_by_their_base_name(record):
    assert record.metric("map") == ("map@all:expected:relevant", record.metrics["map@all:expected:relevant"])
    assert record.metric("latency_ms")[0] == "latency_ms@1"
    assert record.metric("latency_ms@1")[0] == "latency_ms@1"
    assert record.metric("macs") is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda data: data | {"schema_version": records.SCHEMA_VERSION + 1},
            "newer than .* update hash-pareto",
        ),
        (lambda data: {"x": 1}, "not a record"),
        (lambda data: [1], "not a record"),
        (lambda data: data | {"status": "fine"}, "field status"),
        (lambda data: data | {"surprise": 1}, "field surprise"),
        (lambda data: {k: v for k, v in data.items() if k != "cell"}, "field cell"),
    ],
)
def test_what_is_no_record_is_refused_with_its_reason(record, tmp_path, change, expected):
    path = tmp_path / "r.json"
    content = change(record.model_dump(mode="json"))
    path.write_text(sealed.sealed(content) if isinstance(content, dict) else json.dumps(content))
    with pytest.raises(RecordError, match=expected):
        records.load(path)


@pytest.mark.parametrize(
    "text", ["", "{", '{"schema_version": 1, "value": NaN}', "\x00", "[" * 100_000], ids=lambda text: text[:9]
)
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(RecordError, match="not a readable record"):
        records.load(path)


def changed(*path, value):
    """A change that puts ``value`` at ``path``."""

    def change(data):
        inner = data
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return change


ABSURD = [
    (
        changed("metrics", "latency_ms@1", "value", value=1e308),
        "metrics.latency_ms@1.value: Input should be less",
    ),
    (changed("metrics", "latency_ms@1", "value", value=-1e308), "value: Input should be greater"),
    (changed("metrics", "latency_ms@1", "value", value=10**400), "value: "),
    (changed("metrics", "latency_ms@1", "samples", value=[1e308]), "samples.0: Input should be less"),
    (changed("metrics", "latency_ms@1", "interval", value=[0, 1e308]), "interval.1: Input should be less"),
    (changed("stages", "finetune", "seconds", value=1e308), "seconds: Input should be less"),
    (changed("cell", "seed", value=10**400), "cell.seed: Input should be less"),
    (changed("cell", "bits", value=2**63), "cell.bits: Input should be less"),
    (changed("cell", "image_size", value=-(10**400)), "cell.image_size: Input should be greater"),
    (changed("environment", "threads", value="many"), "environment.threads should be a whole number"),
    (changed("environment", "threads", value=2.5), "environment.threads should be a whole number"),
    (changed("params", "dataset", value=None), "params.dataset should be a mapping"),
    (changed("params", "loss", value=[]), "params.loss should be a mapping"),
    (changed("params", "teachers", value=None), "params.teachers should be a list of mappings"),
    (changed("params", "teachers", value=[None]), "params.teachers should be a list of mappings"),
]


@pytest.mark.parametrize(("change", "expected"), ABSURD)
def test_absurd_values_are_refused_where_they_stand(record, tmp_path, change, expected):
    """What no table could show and no comparison compute with."""
    data, path = record.model_dump(mode="json"), tmp_path / "r.json"
    change(data)
    write_json(path, data)
    with pytest.raises(RecordError, match=expected) as error:
        records.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith("; delete it and run again")
    assert "\n" not in str(error.value)


def test_text_that_has_no_encoding_is_read_as_something_that_has(record, tmp_path):
    """Half a surrogate pair, as in names of files, can neither be printed nor written."""
    data, path = record.model_dump(mode="json"), tmp_path / "r.json"
    data["environment"]["cpu"] = data["cell"]["student"] = data["cell"]["protocol"]["half \ud800"] = (
        "half \ud800"
    )
    write_json(path, data)
    found = records.load(path)
    assert found.environment["cpu"] == found.cell.student == found.cell.protocol["half ?"] == "half ?"
    assert found.metrics == record.metrics


@pytest.mark.parametrize("version", [1, 2])
def test_older_schemas_are_upgraded(record, tmp_path, version):
    path = tmp_path / "r.json"
    older = record.model_dump(mode="json", exclude={"warnings"}) | {"schema_version": version}
    for stage in older["stages"].values() if version == 1 else ():
        del stage["history"]
    path.write_text(json.dumps(older))
    assert records.load(path) == record


def test_the_environment_tells_what_timings_depend_on(record, monkeypatch):
    first = environment.hardware("cpu", 2)["fingerprint"]
    assert first == environment.hardware("cpu", 2)["fingerprint"]
    assert first != environment.hardware("cpu", 4)["fingerprint"]
    monkeypatch.setattr(environment, "cpu_model", lambda: "another")
    assert first != environment.hardware("cpu", 2)["fingerprint"]
    assert record.environment["packages"]["torch"]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment.default_threads() == 3
