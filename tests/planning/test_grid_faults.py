"""Every fault of a grid at once, each with its place and cure, once."""

from __future__ import annotations

import pytest

from tests.planning.broken import GOOD, problems


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: good", "nmae: good", "grid.yaml:2:1: unknown key 'nmae'; did you mean 'name'?"),
        ("bits: 16", "bits: [16, 32.5]", "grid.yaml:9:14: axes.bits should be a valid integer, not 32.5"),
        ("bits: 16", "bits: ['16']", 'grid.yaml:9:10: axes.bits should be a valid integer, not "16"'),
        ("bits: 16", "bits: [true]", "grid.yaml:9:10: axes.bits should be a valid integer, not true"),
        (
            "loss: [csq]",
            "loss: [cqs]",
            "grid.yaml:8:10: unknown loss 'cqs'; did you mean 'csq'? (choices: classifier, csq, dch",
        ),
        (
            "{lr: 1e-4}",
            "{lr: -1}",
            "grid.yaml:7:44: lr of method 'cukd' should be greater than 0, not -1",
        ),
        (
            "{lr: 1e-4}",
            "{epoch: 3}",
            "grid.yaml:7:40: unknown key 'epoch' of method 'cukd'; did you mean 'epochs'?",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: cosin}",
            "grid.yaml:7:50: schedule of method 'cukd' should be 'constant', 'cosine' or 'flat_cosine', not",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: {fall: cosine, warmp: 0.1}}",
            "grid.yaml:7:65: unknown key 'warmp' of method 'cukd'; did you mean 'warmup'?",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: {fall: cosine, level: 2}}",
            "grid.yaml:7:72: schedule.level of method 'cukd' should be less than 1, not 2",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: {fall: cosine, factor: 0.5}}",
            "grid.yaml:7:50: method 'cukd': a schedule with fall: cosine has no factor",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: {fall: steps, final_lr: 0.1}}",
            "grid.yaml:7:50: method 'cukd': a schedule with fall: steps has no final_lr",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: {fall: steps}}",
            "grid.yaml:7:50: method 'cukd': a schedule with fall: steps needs every_epochs",
        ),
        (
            "{lr: 1e-4}",
            "{schedule: {warmup: 0.1}}",
            "grid.yaml:7:50: missing key 'fall' of method 'cukd'",
        ),
        ("schema: 1", "schema: 0", "grid.yaml:1:9: schema should be 1, not 0"),
        ("schema: 1\n", "", "grid.yaml:1:1: missing key 'schema'; write schema: 1"),
        ("bits: 16", "image_size: 16", "grid.yaml:9:3: unknown key 'image_size'; it belongs in defaults"),
        (
            "name: good",
            "name: good\nlr: 1",
            "grid.yaml:3:1: unknown key 'lr'; it belongs in defaults.distill or",
        ),
        ("[csq]", "[{lr: 1}]", "grid.yaml:8:10: missing key 'name' in axes.loss"),
        ("[csq]", "[3]", "grid.yaml:8:10: write a name, or {name: ..., params: {...}}, not 3"),
        ("[csq]", "[cukd]", "grid.yaml:8:10: unknown loss 'cukd', which is a method (choices: classifier"),
        (
            "[csq]",
            "{name: csq, params: 3}",
            "grid.yaml:8:29: axes.loss.params should be a mapping, not 3; for ",
        ),
        (
            "{name: cukd, params: {lr: 1e-4}}",
            "{name: whiten_mtd, params: 3}",
            "grid.yaml:7:45: axes.method.params should be a mapping, not 3; for example params: {epochs: ",
        ),
        ("[cukd_v1]", "[resnet18]", "grid.yaml:6:13: unknown student 'resnet18'; a network of a library is"),
        (
            "[cukd_v1]",
            "[tmm:resnet18]",
            "grid.yaml:6:13: unknown student 'tmm:resnet18'; did you mean 'timm:res",
        ),
        ("bits: 16", "bits: 16\n  bits: 32", "grid.yaml:10:3: duplicate key 'bits'; remove one of them"),
        ("bits: 16", "bits: []", "grid.yaml:9:9: axes.bits should have at least 1 item, not []"),
        (
            "bits: 16",
            "bits: 16\ninclude: [{teacher: []}]",
            "grid.yaml:10:21: include.teacher should have at le",
        ),
        ("bits: 16", "bits: 16\nexclude: [{loss: cqs}]", "grid.yaml:10:18: unknown loss 'cqs'; did you mean"),
        (
            "bits: 16",
            "bits: 16\nmeasure: {latncy: false}",
            "grid.yaml:10:19: unknown metric 'latncy'; did you",
        ),
        (
            "bits: 16",
            "bits: 16\nmeasure: {latency: true}",
            "grid.yaml:10:20: measure.latency should be a mapping or false, not true; for example latency: "
            "{batch_sizes: [1, 64]}",
        ),
        (
            "bits: 16",
            "bits: 16\nmeasure: {params: }",
            "grid.yaml:10:18: measure.params should be a mapping or false, not null; for example params: {}",
        ),
        (
            "bits: 16",
            "bits: 16\ntune: true",
            "grid.yaml:10:7: tune should be a mapping, not true; for example tune: {trials: 16}",
        ),
        (
            "bits: 16",
            "bits: 16\ntune: []",
            "grid.yaml:10:7: tune should be a mapping, not []; for example tune: {trials: 16}",
        ),
        (
            "bits: 16",
            "bits: 16\nprotocol: all",
            'grid.yaml:10:11: protocol should be a mapping, not "all"; for example protocol: {ties',
        ),
        (
            "bits: 16",
            "bits: 16\nreport: {pareto: [[map, {map: [unseen]}]]}",
            'grid.yaml:10:25: what has brackets in itself takes quotes: write "map[unseen]"',
        ),
        (
            "bits: 16",
            "bits: 16\n  tune: {trials: 16}",
            "grid.yaml:10:3: unknown key 'tune'; it belongs at the top, beside axes",
        ),
        (
            "bits: 16",
            "bits: 16\nexclude: [{image_size: 32}]",
            "grid.yaml:10:12: unknown key 'image_size' (known: bits, dataset",
        ),
        ("bits: 16", "bits: 16\nreport: {pareto: map}", "grid.yaml:10:18: report.pareto should be a list"),
        ("name: good", "name: ../up", "grid.yaml:2:7: name should be up to 100 letters, digits, '.', '_'"),
        ("name: good", "name: !!python/name:os.system x", "grid.yaml:2:7: tag"),
    ],
)
def test_a_fault_names_its_place_and_cure(tmp_path, old, new, expected):
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(problem.startswith(expected) for problem in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "schema: 1\nname: good",
            "schema: 2\nnew: key",
            "1:9: schema 2 is newer than 1, the newest this version reads; update hash-pareto",
        ),
        ("name: good", "nmae: good", "2:1: unknown key 'nmae'; did you mean 'name'?"),
        ("[csq]", "[{nam: csq}]", "8:11: unknown key 'nam'; did you mean 'name'?"),
        (
            "[csq]",
            "[{name: csq, lr: 1e-3}]",
            "8:22: 'lr' is a parameter of loss 'csq' and belongs in params: {name: csq, params: {lr: 0.001}}",
        ),
        (
            "[csq]",
            "{name: csq, lr: 1e-3}",
            "8:21: 'lr' is a parameter of loss 'csq' and belongs in params: {name: csq, params: {lr: 0.001}}",
        ),
        (
            "[csq]",
            "[{name: csq, lrr: 1e-3}]",
            "8:22: unknown key 'lrr'; did you mean 'lr'? It belongs in params: "
            "{name: csq, params: {lr: 0.001}}",
        ),
        (
            "[cukd_v1]",
            "[{name: timm:resnet18, weights: none}]",
            "6:35: 'weights' is a parameter of student 'timm:resnet18' and belongs in params: "
            "{name: timm:resnet18, params: {weights: none}}",
        ),
        (
            "[csq]",
            "[csq: {lr: 1}]",
            "8:10: a loss is a name, or a mapping with a name; write {name: csq, params: {lr: 1}}",
        ),
        ("[cukd_v1]", "[timm: resnet18]", "6:13: write timm:resnet18 without a blank behind the colon"),
    ],
)
def test_one_fault_is_told_once(tmp_path, old, new, expected):
    assert old in GOOD
    assert problems(tmp_path, GOOD.replace(old, new)) == [f"grid.yaml:{expected}"]


def test_all_faults_are_reported_at_once_in_file_order(tmp_path):
    text = GOOD.replace("name: good", "nmae: good").replace("[csq]", "[cqs]").replace("16", "x")
    found = problems(tmp_path, text)
    assert [problem.split(":")[1] for problem in found] == sorted(problem.split(":")[1] for problem in found)
    assert {problem.split(":")[1] for problem in found} >= {"2", "8", "9"}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("axs.bits=[16]", "unknown key 'axs'; did you mean 'axes'?"),
        ("axes.studnet=[x]", "unknown key 'studnet'; did you mean 'student'?"),
        ("defaults.finetun.lr=1", "unknown key 'finetun'; did you mean 'finetune'?"),
        ("bits=16", "unknown key 'bits'; it belongs in axes"),
        ("axes.bits=", "axes.bits should be a valid integer, not null"),
        (
            "axes.bits.0=3",
            "axes.bits is no mapping, and parts of it cannot be set; give all of it: axes.bits=...",
        ),
        ("axes.loss=cqs", "unknown loss 'cqs'; did you mean 'csq'? (choices: classifier, csq"),
        ("schema=2", "schema 2 is newer than 1"),
    ],
)
def test_faults_of_an_override_are_told_of_the_override(tmp_path, override, expected):
    (found,) = problems(tmp_path, GOOD, override)
    assert found.startswith(f"--set {override}:1:1: {expected}")
