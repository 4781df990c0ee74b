"""``ls``: every name that a grid may have, described by what is its own."""

from __future__ import annotations

import json
import re

import pytest

from bench.registry import REGISTRIES


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_ls_describes_every_name(bench, kind):
    described = json.loads(bench("ls", kind, "--json").out)
    assert set(described) >= set(REGISTRIES[kind].names())
    assert all(described.values())
    assert all(name in bench("ls", kind).out for name in described)


def test_ls_without_a_kind_lists_all(bench):
    everything = json.loads(bench("ls", "--json").out)
    assert everything == {kind: json.loads(bench("ls", kind, "--json").out) for kind in everything}
    assert set(everything) == set(REGISTRIES)
    shown = bench("ls").out
    for kind, described in everything.items():
        assert f"{kind}:\n" in shown
        assert all(f"\n  {name} " in shown for name in described)


LOSS = "from bench.registry import LOSSES\n@LOSSES.register\nclass Mine:\n    version = 1\n"


#: Files that define plug-ins, by name.
THEIRS = {
    "mine": '''
"""Losses of several papers."""
from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import Parameters

@LOSSES.register_as("described")
class Described(Loss):
    """Pairs of images.

    More of it."""
    version = 1
    Params = Parameters

@LOSSES.register_as("inherited")
class Inherited(Described):
    version = 2

@LOSSES.register_as("bare")
class Bare(Loss):
    version = 1
    Params = Parameters
''',
    "titled": f'"""One loss."""\n{LOSS}',
    "licensed": f'"""Copyright 2020."""\n{LOSS}',
}


def test_ls_describes_plugins_of_others_by_what_is_theirs(bench, folder):
    for name, text in THEIRS.items():
        (folder / f"{name}.py").write_text(text)
    files = [part for name in THEIRS for part in ("--include", f"{name}.py")]
    shown = json.loads(bench("ls", "losses", "--json", *files).out)
    for name in ("described", "inherited", "bare", "titled", "licensed"):
        del REGISTRIES["losses"]._registered[name]
    assert shown["described"] == "Pairs of images."
    assert shown["inherited"] == "class Inherited of mine, which has no docstring"
    assert shown["bare"] == "class Bare of mine, which has no docstring"
    assert shown["titled"] == "One loss."
    assert shown["licensed"] == "class Mine of licensed, which has no docstring"
    assert shown["csq"].startswith("Central similarity quantization: ")
    networks = json.loads(bench("ls", "students", "--json").out)
    assert networks["timm:<name>"] == "Any network of timm under its name there, for example timm:resnet18."


def test_ls_says_what_methods_need(bench):
    needs = json.loads(bench("ls", "methods", "--json").out)
    assert needs["cukd"].endswith("[1 teacher (cached features), no labels]")
    assert needs["cdd"].endswith("[1 teacher (live, trained first), labels]")
    assert needs["whiten_mtd"].endswith("[1 to 16 teachers (cached features), no labels]")
    assert needs["retrieval"].endswith("[no teacher, labels]")
    assert needs["none"].endswith("[no teacher, no labels]")


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_every_plugin_is_shown_with_all_its_parameters(bench, kind):
    for name in REGISTRIES[kind].names():
        about = json.loads(bench("ls", kind, name, "--json").out)
        fields = REGISTRIES[kind].get(name).Params.model_fields
        assert [one["name"] for one in about["parameters"]] == list(fields)
        assert [one["name"] for one in about["parameters"] if not one["description"]] == []
        assert ["default" in one for one in about["parameters"]] == [
            not field.is_required() for field in fields.values()
        ]
        shown = bench("ls", kind, name).out
        assert shown.startswith(f"{name}: {about['summary']}\n")
        assert all(f"\n{field} " in shown for field in fields)


def test_a_loss_says_whether_it_trains_and_what_is_searched(bench):
    shown = bench("ls", "losses", "csq").out
    assert "\nIt trains.\nBy default, tune searches: lr 1e-05 to 0.03 (log), " in shown
    assert re.search("\nlr +1e-05 +peak learning rate\n", shown)  # described where all losses have it
    assert re.search("\ntargets +majority \\(or first\\) +of images with several labels", shown)
    assert "By default, tune: {of: [method, loss]} searches: lr " in bench("ls", "methods", "cukd").out
    assert "It does not train: its codes are fitted to features.\n" in bench("ls", "losses", "itq").out
    assert bench("ls", "methods", "none").out.endswith("It does not train.\nIt has no parameters.\n")
    assert json.loads(bench("ls", "losses", "csq", "--json").out)["space"]["lr"] == [1e-5, 3e-2, "log"]


def test_a_network_of_a_library_is_shown_as_well(bench):
    shown = bench("ls", "students", "timm:test_resnet").out
    assert shown.startswith("timm:test_resnet: The network test_resnet of timm.\n")
    assert "\nweights " in shown


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["loss"], "ls: 'loss' is no kind; did you mean 'losses'? (kinds: datasets, teachers, "),
        (["csq"], "ls: 'csq' is no kind, but the name of a plug-in; run: ls losses csq"),
        (["none"], "run: ls methods none or ls losses none"),
        (["losses", "cqs"], "unknown loss 'cqs'; did you mean 'csq'?"),
        (["losses", "cukd"], "unknown loss 'cukd', which is a method"),
    ],
)
def test_what_may_have_been_meant_is_said(bench, asked, message):
    result = bench("ls", *asked)
    assert result.code == 2
    assert message in result.err


def test_the_parameters_of_a_plugin_of_others_are_shown(bench, folder):
    (folder / "mine.py").write_text(THEIRS["mine"])
    shown = bench("ls", "losses", "described", "--include", "mine.py").out
    for name in ("described", "inherited", "bare"):
        del REGISTRIES["losses"]._registered[name]
    assert shown == "described: Pairs of images.\nIt trains.\nIt has no parameters.\n"
