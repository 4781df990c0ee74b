"""The finding: what records show in a sentence or two, in the numbers of ``compare``, and nothing beyond."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.comparison import compare_text
from bench.comparison.compare import compare
from bench.comparison.finding import MOST, NAMED, findings
from bench.results.folder import load_results
from bench.results.merge import merged
from bench.results.records import Failure
from tests.recorded import make_record
from tests.scored import MAP, scores_of, write_scored

PUBLISHED = Path(__file__).parents[2] / "results/published"
MAPS = [name for name in make_record().metrics if name.startswith("map")]
NUMBER = r"[+-]\d\.\d{3,6} \[[+-]\d\.\d{3,6}, [+-]\d\.\d{3,6}\]"


@pytest.fixture
def write(tmp_path):
    """Write a results folder of (record, scores or None) and read it back."""
    return lambda cells, name="results": write_scored(tmp_path / name, cells)


def cells(gains, seeds=3, bits=(16, 32), scored=True, **kwargs):
    """Students of every method in ``gains``, by how much they are better than 0.6."""
    return [
        (
            make_record(method=method, bits=length, seed=seed, **kwargs),
            scores_of(0.6 + gain + length / 1000, seed) if scored else None,
        )
        for method, gain in gains.items()
        for length in bits
        for seed in range(seeds)
    ]


def teacher(value, seeds=3, bits=32, **kwargs):
    """The reference row of the teacher, whose mean lies ``value`` above 0.6 or so."""
    made = [
        make_record("efficientnet_lite0", "none", bits=bits, seed=seed, **kwargs) for seed in range(seeds)
    ]
    return [(record, scores_of(0.6 + value, record.cell.seed)) for record in made]


def without(some, *names):
    """The same cells, where some metrics were not measured."""
    return [
        (
            record.model_copy(
                update={"metrics": {k: v for k, v in record.metrics.items() if k not in names}}
            ),
            s,
        )
        for record, s in some
    ]


def warned(some, which=lambda record: True):
    """The same cells, of which some carry a warning."""
    return [
        (record.model_copy(update={"warnings": ["codes have collapsed"]}) if which(record) else record, s)
        for record, s in some
    ]


def compared(results, method, **kwargs):
    return compare(results, results, base_only={"method": "none"}, new_only={"method": method}, **kwargs)


def difference(one):
    return compare_text.difference(one, compare_text.decimals([one.interval]))


def only(results):
    (text,) = findings(results)
    return text


# -- With and without distillation -----------------------------------------------------------------


def test_a_gain_is_told_in_the_numbers_of_compare(write):
    results = write(cells({"none": 0, "cukd": 0.05}))
    found = compared(results, "cukd")
    number = difference(found.overall)
    assert re.fullmatch(NUMBER, number)
    assert found.overall.interval[0] > 0
    assert only(results) == (
        f"On fashion_mnist, distillation with cukd raises mAP@all: {number} at the same MACs (mean over "
        "2 configurations, 95 % interval, paired over 3 seeds and 300 queries)."
    )


def test_a_loss_is_told_as_one(write):
    assert ", distillation with cukd lowers mAP@all: -0.0" in only(write(cells({"none": 0, "cukd": -0.05})))


def test_no_difference_is_told_with_what_would_have_been_seen(write):
    results = write(cells({"none": 0, "cukd": 0.0002}))
    whole = compared(results, "cukd").overall
    assert whole.interval[0] < 0 < whole.interval[1]
    text = only(results)
    assert ", no change of mAP@all by distillation with cukd is shown: " in text
    assert compare_text.found_from(whole.detectable) in text
    assert not re.search("raises|lowers", text)


def test_one_configuration_is_enough(write):
    results = write(cells({"none": 0, "cukd": 0.05}, bits=(32,)))
    (one,) = compared(results, "cukd").pairs
    text = only(results)
    assert f"raises mAP@all: {difference(one)} at" in text
    assert "mean over 1 configuration, " in text


def test_of_two_methods_each_is_told_and_corrected_for(write):
    results = write(cells({"none": 0, "cukd": 0.05, "ranking": 0.0002}))
    text = only(results)
    assert text.startswith(
        "On fashion_mnist, mAP@all against the same students without distillation: cukd +0.0"
    )
    assert re.search(f"; ranking {NUMBER} at the same MACs, no difference shown, a difference of ", text)
    assert "corrected for asking 2 times" in text
    stricter = compared(results, "ranking", level=0.025).overall.detectable
    assert stricter > compared(results, "ranking").overall.detectable
    assert compare_text.found_from(stricter) in text


def test_what_many_questions_may_bring_by_chance_is_no_finding(write):
    """The same difference, alone and as one of many that are asked for."""
    gain = 0.0016
    alone = only(write(cells({"none": 0, "cukd": gain}), "alone"))
    others = {f"method_{i}": 0.0 for i in range(12)}
    results = write(cells({"none": 0, "cukd": gain, **others}), "many")
    assert "raises" in alone
    assert re.search(
        f"best and worst of 13 methods by .*: cukd {NUMBER} at the same MACs, no difference shown",
        only(results),
    )


def test_of_many_methods_the_best_and_the_worst_are_told(write):
    gains = {f"method_{i}": 0.01 * (i - 2) for i in range(NAMED + 2)}
    text = only(write(cells({"none": 0, **gains})))
    assert (
        "best and worst of 5 methods by mAP@all against the same students without distillation: method_4 +"
        in text
    )
    assert "; method_0 -" in text
    assert "method_1" not in text
    assert text.count("method_") == 2


def test_methods_without_a_mean_are_neither_best_nor_worst(write):
    gains = {f"method_{i}": 0.01 * (i - 2) for i in range(NAMED + 1)}
    results = write(cells({"none": 0, **gains}) + cells({"none": 0, "method_0": 0.05}, seeds=2, bits=(64,)))
    text = only(results)
    assert "best and worst" not in text
    assert "distillation: method_0 better in " in text
    assert all(method in text for method in gains)


def test_one_seed_speaks_of_these_networks(write):
    text = only(write(cells({"none": 0, "cukd": 0.05}, seeds=1)))
    assert text.startswith(
        "On fashion_mnist, in one training each, distillation with cukd raises mAP@all: +0.0"
    )
    assert "paired over 1 seed and 300 queries; over queries alone: another seed may tell otherwise)" in text


def test_one_seed_without_scores_by_query_tells_nothing(write):
    text = only(write(cells({"none": 0, "cukd": 0.05}, seeds=1, scored=False)))
    assert text == (
        "On fashion_mnist, whether distillation with cukd changes mAP@all cannot be told (paired over "
        f"1 seed; without scores by query): {compare_text.WHAT_IT_TAKES}."
    )


def test_two_seeds_that_show_nothing_say_so(write):
    assert "two seeds cannot tell" in only(write(cells({"none": 0, "cukd": 0.0002}, seeds=2)))


def test_equal_scores_are_no_change(write):
    some = [(record, scores_of(0.6, record.cell.seed)) for record, _ in cells({"none": 0, "cukd": 0})]
    assert ", distillation with cukd leaves every mAP@all as it was at the same MACs (" in only(write(some))


def test_configurations_with_other_seeds_are_counted(write):
    some = cells({"none": 0, "cukd": 0.05}) + cells({"none": 0, "cukd": 0.0001}, seeds=2, bits=(64,))
    results = write(some)
    found = compared(results, "cukd")
    assert found.overall is None
    verdicts = [one.verdict for one in found.pairs]
    assert verdicts.count("better") == 2
    assert "changes mAP@all: better in 2 of 3 configurations, worse in none at" in only(results)


def test_methods_without_a_teacher_distil_nothing(write):
    some = [
        (record.model_copy(update={"cell": record.cell.model_copy(update={"teachers": []})}), scores)
        for record, scores in cells({"none": 0, "retrieval": 0.05})
    ]
    assert ", step 1 with retrieval (no teacher) raises mAP@all: +" in only(write(some))


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.84, "84 % of the"),
        (1.00073, "1.00073 times the"),
        (2.92, "2.9 times the"),
        (0.0123, "1.2 % of the"),
    ],
)
def test_a_price_is_told(write, ratio, words):
    some = []
    for record, scores in cells({"none": 0, "cdd": 0.05}):
        metrics = dict(record.metrics)
        if record.cell.method == "cdd":
            metrics["macs"] = metrics["macs"].model_copy(update={"value": metrics["macs"].value * ratio})
        some.append((record.model_copy(update={"metrics": metrics}), scores))
    assert re.search(f"{NUMBER} at {re.escape(words)} MACs \\(", only(write(some)))


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ((0.13, 0.84), "13 to 84 % of the"),
        ((0.84, 2.92), "0.84 to 2.9 times the"),
        ((1, 1.0015), "1 to 1.0015 times the"),
        ((1.00125, 1.0015), "1.00125 to 1.0015 times the"),
        ((2.91, 2.92), "2.9 times the"),
    ],
)
def test_prices_of_several_configurations_are_told(write, ratios, words):
    some = []
    for record, scores in cells({"none": 0, "cdd": 0.05}, bits=(16, 32)):
        metrics = dict(record.metrics)
        if record.cell.method == "cdd":
            value = metrics["macs"].value * ratios[record.cell.bits == 32]
            metrics["macs"] = metrics["macs"].model_copy(update={"value": value})
        some.append((record.model_copy(update={"metrics": metrics}), scores))
    assert re.search(f"{NUMBER} at {re.escape(words)} MACs \\(", only(write(some)))


def test_a_gain_here_and_a_loss_there_are_not_nothing(write):
    some = cells({"none": 0, "cukd": 0.05}, bits=(16,)) + cells({"none": 0, "cukd": -0.05}, bits=(32,))
    text = only(write(some))
    assert "distillation with cukd changes mAP@all: better in 1 of 2 configurations, worse in 1" in text
    assert "shown" not in text
    assert "mean" not in text


@pytest.mark.parametrize("count", [None, 0.0])
def test_a_price_is_that_of_both_sides(write, count):
    some = cells({"none": 0, "cukd": 0.05})
    plain = [one for one in some if one[0].cell.method == "none"]
    others = [one for one in some if one[0].cell.method != "none"]
    if count is None:
        plain = without(plain, "macs")
    else:
        plain = [
            (record.model_copy(update={"metrics": {
                **record.metrics, "macs": record.metrics["macs"].model_copy(update={"value": count})
            }}), scores)
            for record, scores in plain
        ]  # fmt: skip
    assert "at the same parameters (" in only(write(plain + others))


@pytest.mark.parametrize(
    ("lacking", "words"),
    [(["macs"], "at the same parameters ("), (["macs", "params"], "] (mean over")],
)
def test_costs_that_nobody_measured_are_not_told(write, lacking, words):
    assert words in only(write(without(cells({"none": 0, "cukd": 0.05}), *lacking)))


def test_warnings_other_parameters_and_failures_are_told(write):
    some = warned(cells({"none": 0, "cukd": 0.05}), lambda one: one.cell.bits == 16 and one.cell.seed == 1)
    some = [
        (record.model_copy(update={"params": {**record.params, "loss": {"epochs": 31}}}), scores)
        if record.cell.method == "cukd" and record.cell.bits == 32
        else (record, scores)
        for record, scores in some
    ]
    failure = Failure(type="RuntimeError", stage="finetune", message="loss is not finite")
    failed = [(make_record(bits=64, status="failed", error=failure), None)]
    elsewhere = [(make_record(bits=64, dataset="digits", status="failed", error=failure), None)]
    text = only(write(some + failed + elsewhere))
    assert (
        "; other parameters differ, too, in 1 of 2; records of 1 of 2 carry a warning; 1 cell failed" in text
    )


# -- Students and their teacher ----------------------------------------------------------------------


def test_the_smallest_student_that_reaches_the_teacher(write):
    some = cells({"cukd": 0.1}) + cells({"ranking": 0.2}, student="cukd_v2") + teacher(0.05)
    results = write(some)
    scores = {
        name: np.mean(
            [r.metrics[MAP].value for r in results.records if r.cell.student == name and r.cell.bits == 32]
        )
        for name in ("cukd_v1", "efficientnet_lite0")
    }
    share = (88.7e6 + 2048 * 16) / (301.5e6 + 2048 * 32)
    text = only(results)
    assert text.startswith(
        "On fashion_mnist, the smallest student that reaches the teacher (efficientnet_lite0 · csq · 32 bit, "
        f"mAP@all {scores['efficientnet_lite0']:.3f} ± "
    )
    # 32 bits cost a little more than 16.
    assert re.search(
        f" is cukd_v1 · cukd · csq · 16 bit: mAP@all 0\\.\\d+ ± 0\\.\\d+ at {100 * share:.0f} % of its MACs",
        text,
    )


@pytest.mark.parametrize(("gain", "too"), [(0.1, True), (0.0, False)])
def test_distillation_gets_no_credit_for_what_the_student_reaches_without_it(write, gain, too):
    some = cells({"none": gain, "cukd": 0.2}, bits=(32,)) + teacher(0.05)
    text = only(write(some))
    assert " is cukd_v1 · cukd · csq · 32 bit: " in text
    assert bool(re.search(r"; without distillation it does so, too, at mAP@all 0\.\d+ ± ", text)) is too


def test_no_student_reaches_the_teacher(write):
    results = write(cells({"cukd": 0.1}) + teacher(0.2))
    means = {
        key: np.mean([r.metrics[MAP].value for r in results.records if (r.cell.student, r.cell.bits) == key])
        for key in (("cukd_v1", 32), ("efficientnet_lite0", 32))
    }
    gap = means["efficientnet_lite0", 32] - means["cukd_v1", 32]
    text = only(results)
    assert "no student reaches the teacher (" in text
    assert f": the best, cukd_v1 · cukd · csq · 32 bit, is {gap:.3f} below it at 29 % of its MACs." in text


def test_a_hair_below_is_below(write):
    (record, scores), *_ = cells({"cukd": 0.1}, seeds=1, bits=(32,))
    (reference, _), *_ = teacher(0, seeds=1)
    text = only(write([(record, scores), (reference, np.clip(scores + 1e-4, 0, 1))]))
    assert "is less than 0.001 below it" in text
    assert "the smallest student that reaches" in only(
        write([(record, scores), (reference, scores)], "equal")
    )


def test_a_longer_code_does_not_count(write):
    some = cells({"cukd": 0.1}, bits=(16,)) + cells({"cukd": 0.3}, bits=(64,)) + teacher(0.2)
    text = only(write(some))
    assert "no student with codes of at most 32 bits reaches the teacher" in text
    assert "the best, cukd_v1 · cukd · csq · 16 bit, " in text
    assert findings(write(cells({"cukd": 0.3}, bits=(0, 64)) + teacher(0.2), "longer only")) == []
    # Embeddings are longer than any code.
    assert "cukd · csq · 64 bit" in only(
        write(cells({"cukd": 0.3}, bits=(64,)) + teacher(0.2, bits=0), "embeddings")
    )


def test_the_best_teacher_is_the_reference(write):
    some = cells({"cukd": 0.1}) + teacher(0.05, loss="dch") + teacher(0.2, loss="csq")
    assert "no student reaches the teacher (efficientnet_lite0 · csq · 32 bit, " in only(write(some))
    others = [
        (record.model_copy(update={"cell": record.cell.model_copy(update=names)}), scores)
        for some, names in (
            (cells({"ranking": 0.1}, student="cukd_v2"), {"teachers": ["resnet50"]}),
            (teacher(0.3), {"student": "resnet50"}),
        )
        for record, scores in some
    ]
    assert "reaches the best teacher (resnet50 · csq · 32 bit, " in only(write(some + others, "two"))


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (["macs"], "the smallest student that reaches .* of its parameters"),
        (["macs", "params"], "the best student that reaches [^%]*$"),
    ],
)
def test_students_are_small_by_what_was_measured(write, lacking, words):
    assert re.search(words, only(write(without(cells({"cukd": 0.2}) + teacher(0.1), *lacking))))


def test_a_count_that_is_none_is_no_cost(write):
    some = []
    for record, scores in cells({"cukd": 0.2}) + teacher(0.1):
        partial = record.metrics["macs"].model_copy(update={"detail": {"fully_counted": False}})
        some.append((record.model_copy(update={"metrics": {**record.metrics, "macs": partial}}), scores))
    assert "of its parameters" in only(write(some))


def test_rows_that_carry_a_warning_are_not_named(write):
    good = cells({"cukd": 0.1})
    high = warned(cells({"ranking": 0.3}))
    text = only(write(good + high + teacher(0.05) + warned(teacher(0.4, loss="dch"))))
    assert "that reaches the teacher (efficientnet_lite0 · csq" in text
    assert "is cukd_v1 · cukd · csq · 16 bit" in text
    assert findings(write(good + warned(teacher(0.05)), "no reference")) == []


# -- Both, of several data sets and machines ---------------------------------------------------------


def test_both_are_told_one_after_the_other(write):
    text = only(write(cells({"none": 0, "cukd": 0.05}) + teacher(0.2)))
    assert re.search(r"queries\)\. No student reaches the teacher \(", text)


def test_data_sets_are_told_apart_and_corrected_for_together(write):
    some = cells({"none": 0, "cukd": 0.05}) + cells({"none": 0, "cukd": -0.05}, dataset="digits")
    first, second = findings(write(some))
    assert first.startswith("On digits, distillation with cukd lowers")
    assert second.startswith("On fashion_mnist, distillation with cukd raises")
    assert all("corrected for asking 2 times" in text for text in (first, second))


def test_what_is_not_ranked_together_is_not_mixed(write):
    slow = {"threads": 1, "fingerprint": "another"}
    some = cells({"none": 0, "cukd": 0.05}) + cells({"none": 0, "cukd": -0.05}, environment=slow)
    some += cells({"none": 0}, protocol={"k": 100}) + cells({"none": 0, "cukd": 0.3}, protocol={"limit": 50})
    texts = findings(write(some))
    assert [text.partition(", distillation")[0] for text in texts] == [
        "On fashion_mnist (threads=1, k=all)".replace("threads=1, k=all", "k=all, threads=1"),
        "On fashion_mnist (k=all, threads=8)",
    ]
    assert "lowers" in texts[0]
    assert "raises" in texts[1]


def test_more_groups_are_counted(write):
    some = [
        cell
        for i in range(MOST + 2)
        for cell in cells({"none": 0, "cukd": 0.05}, dataset=f"set_{i}", bits=(16,))
    ]
    *texts, last = findings(write(some))
    assert len(texts) == MOST
    assert last == "2 more groups of comparable cells: see the report."


def test_groups_of_several_machines_are_told_apart_in_words(write):
    some = cells({"none": 0, "cukd": 0.05}, bits=(16,))
    there = {"device": "cuda", "gpu": "Example GPU", "fingerprint": "another"}
    texts = findings(write(some + cells({"none": 0, "cukd": 0.05}, bits=(16,), environment=there)))
    assert [text[: text.index(")") + 1].partition("(")[2] for text in texts] == [
        "gpu=none, device=cpu)",
        "gpu=Example GPU, device=cuda)",
    ]


def test_several_folders_are_one(write):
    plain, distilled = write(cells({"none": 0}), "plain"), write(cells({"cukd": 0.05}), "distilled")
    assert findings(plain) == findings(distilled) == []
    together = write(cells({"none": 0, "cukd": 0.05}), "together")
    assert findings(merged([plain, distilled])) == findings(together)


@pytest.mark.parametrize(
    "some",
    [
        [],
        [(make_record(status="failed", error=Failure(type="E", stage="s", message="m")), None)],
        cells({"none": 0}),
        cells({"cukd": 0.1}),
        without(cells({"none": 0, "cukd": 0.1}, scored=False), *MAPS),
        cells({"none": 0, "cukd": 0.1}, protocol={"limit": 10}),
        cells({"none": 0}, bits=(16,)) + cells({"cukd": 0.1}, bits=(32,)),
        teacher(0.1),
    ],
    ids=["empty", "no number", "none alone", "no none", "no accuracy", "limited", "no pair", "teacher alone"],
)
def test_where_nothing_can_be_said_nothing_is(write, some):
    assert findings(write(some)) == []


def test_damaged_scores_are_logged_and_do_no_harm(write, caplog):
    results = write(cells({"none": 0, "cukd": 0.05}) + teacher(0.2))
    next((results.folder / "per_query").iterdir()).write_bytes(b"damaged")
    assert only(results).startswith("On fashion_mnist, no student reaches")
    assert "nothing is said of cukd: " in caplog.text


@settings(max_examples=40, deadline=None)
@given(
    points=st.dictionaries(
        st.tuples(
            st.sampled_from(["none", "cukd", "ranking"]),
            st.sampled_from(["cukd_v1", "cukd_v2", "efficientnet_lite0"]),
            st.sampled_from([0, 16, 32]),
            st.integers(0, 2),
        ),
        st.floats(0, 1),
        max_size=20,
    )
)
def test_whatever_was_run_every_claim_is_in_the_records(points, tmp_path_factory):
    rng = np.random.default_rng(0)
    some = [
        (make_record(student, method, bits=bits, seed=seed), np.clip(value + rng.normal(0, 0.1, 20), 0, 1))
        for (method, student, bits, seed), value in points.items()
    ]
    folder = tmp_path_factory.mktemp("some")
    results = write_scored(folder, some)
    for text in findings(results):
        assert text.startswith("On fashion_mnist, ")
        methods = {record.cell.method for record in results.records}
        assert ("distillation" in text) <= ("none" in methods and len(methods) > 1)
        for method, verb in re.findall(r"distillation with (\w+) (raises|lowers)", text):
            found = compared(results, method)
            low, high = (found.pairs[0] if len(found.pairs) == 1 else found.overall).interval
            assert low > 0 if verb == "raises" else high < 0
        teachers, students = [], []
        for record in results.records:
            plain = (record.cell.student, record.cell.method) == ("efficientnet_lite0", "none")
            (teachers if plain else students).append(record)
        told = re.search(r"mAP@all ([\d.]+)[^:]*: (?:mAP@all|the best, .* is) ([\d.]+)", text)
        if "that reaches" in text:
            assert float(told[2]) >= float(told[1])
        elif told:
            assert float(told[2]) <= float(told[1])
        assert bool(told) <= bool(teachers and students)
    shutil.rmtree(folder)


# -- Published results -------------------------------------------------------------------------------


def test_the_published_trade_off_is_that_of_compare():
    results = load_results(PUBLISHED / "tradeoff")
    text, counts = only(results), []
    for teacher in ("efficientnet_lite0", "efficientnet_lite2"):
        taught = {"method": "cukd*", "teacher": teacher}
        found = compare(results, results, base_only={"method": "none"}, new_only=taught)
        assert f"cukd[teacher={teacher}] {difference(found.overall)} at the same MACs" in text
        counts.append(len(found.pairs))
    among = f"mean over {min(counts)} to {max(counts)} configurations"
    assert f"{among}, 95 % interval, paired over 3 seeds and 1,000 queries" in text


def test_published_results_of_one_seed_say_that_it_is_one():
    results = load_results(PUBLISHED / "methods")
    first = dataclasses.replace(results, records=[one for one in results.records if one.cell.seed == 0])
    assert only(first).startswith("On fashion_mnist, in one training each, best and worst of 8 methods")
