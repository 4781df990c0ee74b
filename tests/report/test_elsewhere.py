"""What reports say of what was measured elsewhere: nothing that is true of the suite's own students alone."""

from __future__ import annotations

from pathlib import Path

from bench.report.tables.columns import float_notes
from bench.report.web.cells import CellPages
from bench.report.web.site import site
from bench.results.folder import Results
from bench.results.summary import summarise
from tests.browser import material
from tests.recorded import make_external, make_record

OWN = "Every point is one small network that turns images into hash codes, set beside its large teacher"


def vectors(name="My vectors", **params):
    record = make_external(name, bits=0)
    return record.model_copy(update={"params": {**record.params, **params}})


def notes(*some):
    (group,) = summarise(Results(Path("x"), "grid", [], list(some), [])).groups
    return list(float_notes(group))


def page(folder, *some):
    results = material.write(folder, list(some))
    return site(summarise(results), results, within=0.02, downloads=[])["index.html"].decode()


def test_embeddings_from_elsewhere_are_not_those_after_step_1():
    ours = "float: embeddings after step 1, compared by cosine; no binary codes."
    theirs = "float, measured elsewhere: embeddings that somebody brought, compared by {}; no binary codes."
    assert notes(make_record(loss="none", bits=0)) == [ours]
    assert notes(vectors()) == [theirs.format("cosine")]
    assert notes(vectors(similarity="l2")) == [theirs.format("Euclidean distance")]
    assert notes(make_record(loss="none", bits=0), vectors()) == [ours, theirs.format("cosine")]
    assert notes(make_external()) == []


def test_where_distances_differ_it_is_said_of_which():
    several = notes(vectors("A"), vectors("B", similarity="l2"))
    assert [note.partition(":")[0] for note in several] == [
        "float, measured elsewhere (A)",
        "float, measured elsewhere (B)",
    ]


def test_the_page_begins_with_what_its_points_are(tmp_path):
    alone = page(tmp_path / "alone", make_external(), vectors())
    assert OWN not in alone
    assert "Every point is a method that somebody brought: codes or embeddings made elsewhere" in alone
    both = page(tmp_path / "both", make_record(), make_external())
    assert f"{OWN}, or is marked as measured elsewhere: codes or embeddings that somebody brought." in both
    assert f"{OWN}.<" in page(tmp_path / "own", make_record())


def test_the_page_of_a_method_says_whose_machine_it_lists():
    assert "Environment of the judging" in CellPages().context(make_external(), "")["blocks"]
    assert "Environment" in CellPages().context(make_record(), "")["blocks"]
