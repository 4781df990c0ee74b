"""Which cells stand on one curve, and what is said where they do not."""

import pytest

from bench.report.tables.curves import curve_notes
from bench.results.curves import curves_of
from bench.results.folder import load_results
from bench.results.merge import merged
from tests.curved import LABELS, PATH, labelled, quality, split_of, write_curved
from tests.recorded import edit
from tests.scored import MAP


@pytest.fixture
def drawn(tmp_path):
    def draw(cells, curves=(("map", PATH),), **kwargs):
        return curves_of(write_curved(tmp_path / "labels", cells, curves, **kwargs))

    return draw


def test_one_line_for_what_differs_in_nothing_but_the_number_of_labels(drawn):
    (curve,), refused = drawn(labelled())
    assert refused == []
    assert [(line.role, line.configuration.student, line.configuration.method) for line in curve.lines] == [
        ("distilled", "cukd_v1", "cukd"),
        ("undistilled", "cukd_v1", "none"),
        ("teacher", "efficientnet_lite0 (teacher)", "none"),
    ]
    assert curve.values == list(LABELS)
    assert (curve.stem, curve.dataset, curve.judged_alike) == (f"curve_map_{PATH}", "fashion_mnist", True)
    assert curve.shared["database_per_class"] == 500
    assert {"train_per_class", "split", "manifest"}.isdisjoint(curve.shared)
    points = curve.lines[0].estimates(curve.accuracy)
    assert list(points) == list(LABELS)
    assert all(one.n == 3 and one.interval for one in points.values())
    assert points[500].value == pytest.approx(quality("cukd_v1", "cukd", "csq", 500), abs=0.01)


def test_machines_do_not_part_accuracies_and_a_seed_counts_once(drawn):
    here = labelled(LABELS[:3])
    there = labelled(LABELS[2:], environment={"cpu": "Another CPU", "fingerprint": "ba9876543210"})
    (curve,), _ = drawn([*here, *there])
    assert curve.values == list(LABELS)
    assert {one.n for one in curve.estimates} == {3}


def test_other_queries_are_never_on_one_curve(drawn):
    few, many = LABELS[:2], LABELS[2:]
    cells = [*labelled(few), *labelled(many, split=lambda labels: split_of(labels, queries=200))]
    curves, refused = drawn(cells)
    assert refused == []
    assert {tuple(curve.values) for curve in curves} == {few, many}
    sentence = f"fashion_mnist: {PATH} 5, 10 and 20, 50, 200, 500 are on no common curve: other queries."
    assert [curve.apart for curve in curves] == [[sentence]] * 2
    assert all(curve.slug.startswith("fashion_mnist-") for curve in curves)
    assert curves[0].stem != curves[1].stem


def test_where_every_value_has_other_queries_nothing_is_drawn_and_the_reason_said(drawn):
    cells = labelled((5, 10), split=lambda labels: split_of(labels, queries=labels))
    assert drawn(cells) == (
        [],
        [
            f"report: curves: [map, {PATH}]: "
            f"fashion_mnist: {PATH} 5 and 10 are on no common curve: other queries."
        ],
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"protocol": {"k": 100}}, "k all against 100"),
        ({"protocol": {"ties": "index", "normalizer": "hits"}}, "ties expected against index and normalizer"),
        ({"environment": {"precision": "bf16"}}, "precision fp32 against bf16"),
    ],
)
def test_other_rules_and_precisions_are_never_on_one_curve(drawn, changes, why):
    curves, _ = drawn([*labelled((5, 10)), *labelled((20, 50), **changes)])
    assert sorted(tuple(curve.values) for curve in curves) == [(5, 10), (20, 50)]
    (said,) = {sentence for curve in curves for sentence in curve.apart}
    assert f"5, 10 and 20, 50 are on no common curve: {why}" in said


def test_two_curves_along_the_same_values_say_why(drawn):
    cells = [*labelled((5, 10)), *labelled((5, 10), environment={"precision": "bf16"})]
    curves, refused = drawn(cells)
    assert refused == []
    assert [curve.values for curve in curves] == [[5, 10]] * 2
    sentence = f"fashion_mnist: there are two curves along {PATH}: precision fp32 against bf16."
    assert [curve.apart for curve in curves] == [[sentence]] * 2


def test_a_curve_that_is_asked_for_twice_is_drawn_once(drawn):
    asked = [("map", PATH), ("map@all", PATH), ("map", PATH)]
    curves, _ = drawn(labelled((5, 10)), asked)
    assert [curve.asked for curve in curves] == [("map", PATH)]


def test_without_manifests_nobody_can_tell(drawn):
    curves, (said,) = drawn(labelled((5, 10)), splits=False)
    assert curves == []
    assert "their splits are not kept here" in said


def test_along_other_numbers_a_split_stays_one_split(drawn):
    cells = labelled((5,), bits=(16, 32, 64), students=("cukd_v1", "cukd_v2"))
    (curve,), refused = drawn(cells, [("map", "bits")])
    assert refused == []
    assert [line.configuration.bits for line in curve.lines] == [0] * 4
    assert curve.values == [16, 32, 64]
    assert (curve.short, curve.judged_alike) == (1, False)
    several, _ = drawn([*cells, *labelled((10,), bits=(16, 32))], [("map", "bits")])
    assert [curve.dataset for curve in several] == [f"fashion_mnist[train_per_class={n}]" for n in (10, 5)]


def test_a_number_that_methods_alone_have_is_a_curve_of_methods(drawn, make_record):
    cells = [
        (make_record(params={"method": {"epochs": epochs, "views": 2}}, seed=seed), split_of(5))
        for epochs in (5, 10, 20)
        for seed in (0, 1)
    ]
    cells += [(make_record(method="none"), split_of(5))]
    (curve,), _ = drawn(cells, [("map", "method.epochs")])
    assert [line.configuration.method for line in curve.lines] == ["cukd"]
    assert (curve.short, curve.lacking) == (0, 1)
    assert "1 configuration has no number method.epochs, and no line." in curve_notes(curve)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("map", "train_per_class"), f"no cell has a number 'train_per_class'; did you mean '{PATH}'?"),
        (("map", "dataset.split_seed"), "0 is the only value of dataset.split_seed, and a curve takes two;"),
        (("mpa", PATH), "no record has the metric 'mpa'; did you mean 'map'? there are: map@all:"),
        (("macs", PATH), "macs is no accuracy"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_a_cure(drawn, asked, said):
    curves, (why,) = drawn(labelled((5, 10), seeds=1), [asked])
    assert curves == []
    assert why.startswith(f"report: curves: [{', '.join(asked)}]: {said}")


def with_epochs(cells, epochs_of):
    """The same cells, trained for as many epochs as a function of their labels says."""
    return [
        (
            record.model_copy(
                update={
                    "params": {
                        **record.params,
                        "loss": {"epochs": epochs_of(record.params["dataset"]["train_per_class"])},
                    }
                }
            ),
            manifest,
        )
        for record, manifest in cells
    ]


def test_what_goes_along_with_the_number_is_said(drawn):
    (curve,), refused = drawn(with_epochs(labelled((5, 10, 50)), {5: 400, 10: 250, 50: 80}.get))
    assert refused == []
    assert curve.values == [5, 10, 50]
    assert curve.companions == {"loss.epochs": [400, 250, 80]}
    assert [line.configuration.loss for line in curve.lines] == ["csq"] * 3
    (plain,), _ = drawn(labelled((5, 10, 50)))
    assert plain.companions == {}


def test_cells_that_differ_in_a_name_too_are_on_no_line(drawn):
    cells = [*labelled((5,), losses=("csq",)), *labelled((10,), losses=("dch",))]
    curves, (why,) = drawn(cells)
    assert curves == []
    assert why.endswith(f"no two cells differ in {PATH} alone; give them the same other parameters")


def test_folders_of_one_grid_each_become_one_curve(tmp_path):
    folders = [tmp_path / str(labels) for labels in (5, 10)]
    several = [write_curved(folder, labelled((int(folder.name),))) for folder in folders]
    assert several[0].curves == [("map", PATH)]
    (curve,), refused = curves_of(merged(several))
    assert refused == []
    assert curve.values == [5, 10]


def test_a_folder_of_an_earlier_version_has_no_curves(tmp_path):
    write_curved(tmp_path, labelled((5, 10)), curves=())
    assert "curves" not in (tmp_path / "grid.json").read_text()
    assert load_results(tmp_path).curves == []
    assert curves_of(load_results(tmp_path)) == ([], [])


def test_a_damaged_manifest_is_named(tmp_path):
    write_curved(tmp_path, labelled((5, 10)))
    for path in (tmp_path / "splits").iterdir():
        path.write_text("{")
    curves, (why,) = curves_of(load_results(tmp_path))
    assert curves == []
    assert "not kept here" in why


def test_failed_cells_are_on_no_curve(tmp_path):
    cells = labelled((5, 10))
    write_curved(tmp_path, cells)
    edit(tmp_path / "records" / "000.json", lambda data: {**data, "status": "skipped", "metrics": {}})
    (curve,), _ = curves_of(load_results(tmp_path))
    assert min(one.n for one in curve.estimates) == 2
    assert curve.accuracy == MAP
