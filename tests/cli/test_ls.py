"""``ls``: every name that a grid may have, described by what is its own."""

from __future__ import annotations

import json

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
