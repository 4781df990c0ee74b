"""Combinations that cannot work are refused at their place."""

from __future__ import annotations

import pytest

from bench.errors import ConfigError
from bench.registry import DATASETS
from tests.planning.conftest import GRID


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "[16, 32]",
            "[16, 48]",
            "grid.yaml:10:14: csq needs a power of two .* not 48; take 32 or 64; drop it or add exclude",
        ),
        ("[tiny_teacher]", "[[tiny_teacher, tiny_teacher]]", "grid.yaml:8:18: method 'cukd' takes 1 teacher"),
        (
            "[csq, dch]\n  bits: [16, 32]",
            "[{name: orthohash, params: {centers: hadamard}}]\n  bits: [16, 48]",
            "grid.yaml:9:10: loss 'orthohash': Hadamard centers need a power of two as code length, not 48",
        ),
        (
            "[csq, dch]",
            "[{name: dhd, params: {train: head}}]",
            "grid.yaml:9:10: loss 'dhd' compares views of an image, .*; drop train: head",
        ),
        (
            "[synthetic]",
            "[{name: synthetic, params: {per_class: 10}}]",
            "grid.yaml:5:13: synthetic: class 0 has 10 images",
        ),
    ],
)
def test_combinations_that_cannot_work_are_refused_at_their_place(make, old, new, expected):
    with pytest.raises(ConfigError, match=expected):
        make(GRID.replace(old, new))


def test_a_data_set_says_whether_step_1_may_look_at_its_database(make, monkeypatch):
    plugin = DATASETS.get("synthetic")
    monkeypatch.setattr(plugin, "judged_by", "cameras")
    with pytest.raises(ConfigError, match="would learn from the images that synthetic is tested on"):
        make()
    assert make(GRID.replace("views: 2", "views: 2, pool: train"))
    monkeypatch.setattr(plugin, "open_database", True)
    assert make()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("epochs: 3", "epochs: 3, lr: 1e-3, SCHEDULE", "8:18: method 'cukd'"),
        ("[csq, dch]", "[{name: csq, params: {lr: 1e-3, SCHEDULE}}]", "9:10: loss 'csq'"),
    ],
)
def test_a_rate_cannot_fall_to_more_than_it_is(make, old, new, place):
    text = GRID.replace(old, new)
    schedule = "schedule: {fall: cosine, final_lr: 1.0e-2}"
    message = f"grid.yaml:{place}: schedule.final_lr 0.01 is above lr 0.001, which falls; lower it"
    with pytest.raises(ConfigError, match=message):
        make(text.replace("SCHEDULE", schedule))
    assert make(text.replace("SCHEDULE", schedule.replace("1.0e-2", "1.0e-3")))


def test_frames_of_videos_are_paired_where_there_are_some(make):
    method = "[{name: whiten_mtd, params: {pairs: videos, pool: train}}]"
    text = GRID.replace("[none, {name: cukd, params: {views: 2, epochs: 3}}]", method)
    with pytest.raises(
        ConfigError, match="8:12: .* would pair frames of videos, and .* of synthetic are none"
    ):
        make(text)
    assert make(text.replace("[synthetic]", "[svd]").replace("[csq, dch]", "[none]"))


def test_without_a_method_that_takes_a_teacher_none_has_to_be_named(make):
    without = GRID.replace("  teacher: [tiny_teacher]\n", "")
    alone = without.replace("[none, {name: cukd, params: {views: 2, epochs: 3}}]", "[none]")
    assert [cell.key for cell in make(alone).cells] == [
        cell.key for cell in make().cells if cell.info.method == "none"
    ]
    retrieval = alone.replace("[none]", "{name: retrieval, params: {pool: train}}")
    assert {tuple(cell.info.teachers) for cell in make(retrieval).cells} == {()}
    later = alone + "include: [{teacher: tiny_teacher, method: cukd}]\n"
    assert len(make(later).cells) == 16
    with pytest.raises(ConfigError) as caught:
        make(without)
    message = "method 'cukd' takes 1 teacher, and the grid names none; add teacher: [...] to the axes"
    assert [problem.message for problem in caught.value.problems] == [message]
    with pytest.raises(
        ConfigError, match=r"'cukd' takes 1 teacher, this combination has 2; change or exclude"
    ):
        make(GRID.replace("[tiny_teacher]", "[[tiny_teacher, tiny_residual]]"))
