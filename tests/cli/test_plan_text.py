"""``plan``: cells, stages and costs, and nothing is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_plan_lists_cells_stages_and_costs_and_starts_nothing(tiny, folder):
    before = tiny("plan")
    assert before.code == 0
    assert "Grid tiny: 4 cells" in before.out
    assert "52 stages of kinds that have not run" in before.out
    assert sorted(path.name for path in folder.iterdir()) == ["grid.yaml"]
    assert tiny("run").code == 0
    summary = json.loads(tiny("plan", "--json").out)
    assert [row["total"] - row["cached"] for row in summary["stages"]] == [0] * 6
    # More epochs cost more of what is known; nothing is unknown any more.
    longer = json.loads(tiny("plan", "--json", "--set", "defaults.finetune.epochs=200").out)
    finetune = next(row for row in longer["stages"] if row["stage"] == "finetune")
    assert finetune["unknown"] == 0
    assert finetune["seconds"] > 0


@pytest.mark.parametrize(
    ("cores", "arguments", "jobs"),
    [(2, (), 2), (3, (), 3), (64, (), 4), (3, ("--jobs", "1"), 1), (4, ("--threads", "2"), 2)],
)
def test_by_default_a_plan_has_a_job_for_every_core_that_can_be_of_use(
    tiny, monkeypatch, cores, arguments, jobs
):
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    result = tiny("plan", "--json", *arguments)
    assert json.loads(result.out)["jobs"] == jobs
    assert result.err == ""


def test_plan_says_what_is_tuned(tiny):
    result = tiny("plan", edit=("measure:", "tune: {trials: 4, studies: 1}\nmeasure:"))
    assert result.code == 0
    assert (
        "Tuning: csq: tuned in 1 study of 4 trials, 8 trainings in all, by validation mAP alone" in result.out
    )
    assert "trial          16" in result.out


def test_a_row_of_the_plan_has_all_lengths_and_seeds_of_a_configuration(tiny):
    axes = ("seed=[3, 0, 1, 2]", "bits=[16, 8]", "loss=[csq]", "method=[none]")
    more = "include=[{image_size: 32, seed: [0, 2]}, {image_size: 32, bits: 16, seed: 4}]"
    given = [f"axes.{axis}" for axis in axes] + [more]
    result = tiny("plan", *(word for one in given for word in ("--set", one)))
    assert "Grid tiny: 13 cells" in result.out
    rows = result.out.split("\n\n")[1].splitlines()[2:]
    assert [" ".join(row.split()[3:]) for row in rows] == [
        "16 none csq 8, 16 0 to 3", "32 none csq 16 0, 2, 4", "32 none csq 8 0, 2",
    ]  # fmt: skip


def test_plan_tells_cells_of_the_same_names_apart_and_counts_images(tiny):
    edit = ("loss: [csq, dch]", "loss: [{name: dch, params: {gamma: 5}}, {name: dch, params: {gamma: 9}}]")
    planned = json.loads(tiny("plan", "--json", edit=edit).out)
    assert {cell["variant"] for cell in planned["cells"]} == {"gamma=5.0", "gamma=9.0"}
    images = {row["stage"]: row["images"] for row in planned["stages"]}
    # 80 images with labels in 2 epochs, 4 cells; 20 queries and 140 others in each of them.
    assert images["finetune"] == 4 * 2 * 80
    assert images["encode"] == 4 * 160
    assert "gamma=9.0" in tiny("plan", edit=edit).out
    # Methods and losses have parameters of the same names.
    cukd = "{name: cukd, params: {epochs: %d, views: 2, teacher_image_size: 16}}"
    edit = ("[none, {name: cukd, params: {views: 2, teacher_image_size: 16}}]", f"[{cukd % 3}, {cukd % 5}]")
    planned = json.loads(tiny("plan", "--json", edit=edit).out)
    assert {cell["variant"] for cell in planned["cells"]} == {"epochs=3", "epochs=5"}
    # So do networks of one length and of several.
    planned = json.loads(tiny("plan", "--json", edit=("bits: [16]", "bits: [16, [8, 16], [16, 32]]")).out)
    assert {cell["variant"] for cell in planned["cells"] if cell["bits"] == 16} == {
        *("", "nested=8+16", "nested=16+32")
    }


def test_a_schedule_that_is_spelt_out_is_told_in_a_line(tiny):
    schedule = "{fall: cosine, warmup: 0.08333333, final_lr: 1.0e-6, per: epoch}"
    edit = ("loss: [csq, dch]", f"loss: [csq, {{name: dch, params: {{schedule: {schedule}}}}}]")
    told = "fall cosine, warmup 0.0833, final_lr 1e-06, per epoch"
    assert any(line.strip().endswith(told) for line in tiny("plan", edit=edit).out.splitlines())
    rows = json.loads(tiny("plan", "--json", edit=edit).out)["training"]
    said = {row["name"]: (row["schedule"], row["incomplete"]) for row in rows}
    spelt_out = {"fall": "cosine", "warmup": 0.08333333, "final_lr": 1e-6, "per": "epoch"}
    assert said["dch"] == (spelt_out, "drop")
    assert said["csq"] == ("constant", "drop")


def test_plan_of_the_papers_names_what_was_published_of_its_cells_and_no_more(bench):
    grid = Path(__file__).parents[2] / "bench/grids/papers.yaml"
    planned = json.loads(bench("plan", "--grid", grid, "--json").out)
    named = {(row["configuration"], row["selection"]): row for row in planned["published"]}
    dch = named["cifar10-1 · DCH · AlexNet · 48 bit", "last epoch"]
    assert dch["values"] == {"map@all:index:hits": 0.768}
    assert dch["note"] == "150 epochs"
    # One line for three seeds, of the network alone: students that somebody distilled have none.
    assert dch["cells"] == [f"cifar10__no-teacher__alexnet__none__dch__48b__s{seed}" for seed in range(3)]
    cdd = named["veri776 · CDD · ResNet-101 · float", ""]
    assert cdd["figure"] == "67.13 % parameters saved, 65.67 % MACs saved"
    assert all("__cdd__" in slug for slug in cdd["cells"])
    assert len(planned["published"]) < 20
    text = bench("plan", "--grid", grid, "--only", "dataset=svd").out
    assert "published of these cells" not in text
    text = bench("plan", "--grid", grid, "--only", "student=alexnet").out
    assert "header of its script; 150 epochs\n" in text.replace(" \n", "\n")
    other = json.loads(bench("plan", "--grid", grid, "--json", "--set", "protocol.k=100").out)
    assert [row["configuration"] for row in other["published"]] == ["veri776 · CDD · ResNet-101 · float"]
