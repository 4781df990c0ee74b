"""What was measured elsewhere: where it stands, what it is called, and what is never said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.comparison.finding import findings
from bench.errors import RecordError, UsageError
from bench.report.charts.points import Points
from bench.report.charts.styles import Styles
from bench.results import external, records
from bench.results.folder import Results, load_results, save_index
from bench.results.fronts import front_of
from bench.results.merge import merged
from bench.results.names import Names
from bench.results.summary import summarise
from bench.storage.keys import content_key
from tests.recorded import accuracy, cost, make_external, make_record, run_records

CHEAP = {"macs": cost(1e6, "multiply-adds"), "params": cost(1e5, "parameters")}


def groups_of(*some):
    return summarise(Results(Path("x"), "grid", [("map", "macs")], list(some), [])).groups


def test_it_stands_in_every_table_of_its_protocol():
    """Timings part the machines, and it has none."""
    other = {"cpu": "Third CPU", "fingerprint": "333333333333"}
    several = groups_of(make_external(), make_record(), make_record(environment=other))
    assert len(several) == 2
    assert [[row.role for row in group.rows] for group in several] == [["external", "distilled"]] * 2
    assert {group.conditions.partition(" · ")[0] for group in several} == {"Example CPU 16-Core", "Third CPU"}


@pytest.mark.parametrize("protocol", [{"k": 5000}, {"manifest": "000000000000"}, {"ties": "index"}])
def test_under_another_protocol_it_stands_alone(protocol):
    several = groups_of(make_record(), make_external(protocol=protocol))
    assert sorted(len(group.rows) for group in several) == [1, 1]
    assert {group.conditions for group in several} >= {"measured elsewhere"}


def test_what_several_machines_judged_stands_together():
    one, other = make_external("A"), make_external("B")
    other = other.model_copy(update={"environment": {**other.environment, "cpu": "Fourth CPU"}})
    (group,) = groups_of(one, other)
    assert len(group.rows) == 2


def test_seeds_of_one_method_are_one_row_and_a_newer_record_counts():
    old = make_external(created="2024-01-01T00:00:00+00:00")
    (group,) = groups_of(*(make_external(seed=seed) for seed in range(3)), old)
    (row,) = group.rows
    assert (row.seeds, row.older) == (3, [old])


def test_its_name_is_its_own_whatever_students_are_called():
    some = [make_record(), make_external("cukd_v1"), make_external("cukd_v1", bits=0)]
    names = Names(some)
    assert [str(names(one)) for one in some] == [
        "cukd_v1 · cukd · csq · 32 bit",
        "cukd_v1 · measured elsewhere · 32 bit",
        "cukd_v1 · measured elsewhere · float",
    ]


def test_it_is_in_no_front_whose_cost_it_does_not_have():
    some = [*run_records(), make_external(metrics=CHEAP)]
    (group,) = groups_of(*some)
    by_macs, by_time = (front_of(group, "map", name, 0.02) for name in ("macs", "latency_ms"))
    assert "external" in {row.role for row in by_macs.standing("front")}
    assert "external" not in {row.role for row in by_time.rows}


def test_it_is_never_the_student_to_take():
    (group,) = groups_of(*run_records(), make_external(metrics=CHEAP))
    front = front_of(group, "map", "macs", within=1.0)
    assert front.recommended.role != "external"
    assert front.best_student.role != "external"


def test_findings_do_not_speak_of_it():
    without = [record for record in run_records() if record.status == "ok"]
    external = make_external(metrics=CHEAP)
    said, also, alone = (
        findings(Results(Path("x"), "grid", [], some, [], stems={one.key: one.key[:9] for one in some}))
        for some in (without, [*without, external], [external])
    )
    assert said
    assert also == said
    assert alone == []


def test_charts_have_a_marker_for_it_and_name_it():
    (group,) = groups_of(*run_records(), make_external(metrics=CHEAP))
    points = Points.of(front_of(group, "map", "macs", 0.02))
    (place,) = (i for i, row in enumerate(points.rows) if row.role == "external")
    assert place in points.named
    styles = Styles([group])
    looks = {
        (styles.look(row).colour, styles.look(row).shape) for row in group.rows if row.role != "external"
    }
    assert (styles.look(points.rows[place]).colour, styles.look(points.rows[place]).shape) not in looks
    methods, losses, _ = styles.legend(group.rows)
    assert "measured elsewhere" in dict(methods)
    assert [name for name, _ in losses] == ["loss csq", "loss dch"]


def test_sizes_that_nobody_knows_are_no_sizes():
    (group,) = groups_of(make_record(), make_external())
    assert group.image_sizes == [64]


def test_folders_are_merged_with_it(tmp_path):
    both = merged(
        [
            Results(tmp_path / name, name, [], [one], [], stems={one.key: "a"})
            for name, one in (("run", make_record()), ("mine", make_external()))
        ]
    )
    assert [record.status for record in both.records] == ["ok", "external"]


def test_a_record_comes_back_as_it_was_written(tmp_path):
    record = make_external(metrics=CHEAP)
    records.save(record, tmp_path / "a.json")
    assert records.load(tmp_path / "a.json") == record
    assert record.finished


# -- Beside which cells ------------------------------------------------------------------------------


def run_into(folder, *some, split=None):
    """A results folder with the manifest of its split."""
    split = split or {"query": [[0, 3], [7, 9]], "database": [[20, 30]]}
    manifest = content_key(split)[:12]
    some = [
        one.model_copy(
            update={
                "cell": one.cell.model_copy(
                    update={"protocol": {**one.cell.protocol, "split": "drawn", "manifest": manifest}}
                )
            }
        )
        for one in some
    ]
    save_index(folder, "run", [], {one.cell_key: f"c{i}" for i, one in enumerate(some)})
    for i, one in enumerate(some):
        records.save(one, folder / "records" / f"c{i}-{i:012x}.json")
    (folder / "splits").mkdir(exist_ok=True)
    (folder / f"splits/drawn-{manifest}.json").write_text(json.dumps(split))
    return folder


def test_a_peer_says_which_images_are_asked_for(tmp_path):
    folder = run_into(tmp_path / "run", make_record(), make_record(seed=1))
    for path in (folder, folder / "records/c1-000000000001.json"):
        peer = external.peer_of(path)
        assert peer.query.tolist() == [0, 1, 2, 7, 8]
        assert peer.database.tolist() == list(range(20, 30))
        assert peer.name == "fashion_mnist (drawn)"


def test_a_peer_that_is_not_there_may_be_one_beside_it(tmp_path):
    folder = run_into(tmp_path / "run", make_record(), make_record(seed=1))
    for near, meant in (("runn", "run"), ("run/records/c0-00000000000.json", "c0-000000000000.json")):
        with pytest.raises(UsageError, match=f"no such results folder or record; did you mean '{meant}'"):
            external.peer_of(tmp_path / near)
    with pytest.raises(UsageError, match="or record; give the folder of a run, or one of its records$"):
        external.peer_of(folder / "elsewhere/x")


@pytest.mark.parametrize(
    ("some", "message"),
    [
        ([make_record(), make_record(dataset="digits")], "cells of 2 data sets or protocols; name"),
        ([make_record(), make_record(protocol={"k": 10})], "cells of 2 data sets or protocols"),
        ([make_record(status="failed")], "no finished cell"),
        ([make_external()], "no finished cell"),
        ([make_record(protocol={"limit": 10})], "a cell that compares with nothing"),
        ([make_record(metrics={"map_reid": accuracy(0.5, "expected")})], "is not judged by labels alone"),
    ],
)  # fmt: skip
def test_cells_that_are_no_peers_are_one_line(tmp_path, some, message):
    with pytest.raises(UsageError, match=message):
        external.peer_of(run_into(tmp_path / "run", *some))


def test_a_split_that_is_not_there_or_not_the_one_is_one_line(tmp_path):
    folder = run_into(tmp_path / "run", make_record())
    (path,) = (folder / "splits").iterdir()
    path.write_text(json.dumps({"query": [[0, 9]], "database": [[20, 30]]}))
    with pytest.raises(RecordError, match="not the manifest of drawn"):
        external.peer_of(folder)
    path.write_text("{")
    with pytest.raises(RecordError, match="damaged"):
        external.peer_of(folder)
    path.unlink()
    with pytest.raises(UsageError, match="no manifest of the split in it"):
        external.peer_of(folder)


def test_a_folder_of_its_own_collects_methods(tmp_path):
    for name in ("A", "B", "A"):
        record = make_external(name)
        scores = np.full(4, record.metrics[record.accuracy].value)
        external.save_external(tmp_path / "mine", record, scores)
    results = load_results(tmp_path / "mine")
    assert [record.cell.student for record in results.records] == ["A", "B"]
    assert not results.missing
    for record in results.records:
        value = record.metrics[record.accuracy].value
        assert results.per_query(record)[record.accuracy].tolist() == pytest.approx([value] * 4)
