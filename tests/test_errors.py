"""Suggestions for names that are wrong."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import close, did_you_mean, escaped

ZOO = [
    *("resnet18", "resnet18d", "resnet34", "resnet50", "resnet101", "tresnet_m", "tresnet_l", "test_resnet"),
    *("mobilenetv3_small_050", "mobilenetv3_small_075", "mobilenetv3_small_100", "tf_mobilenetv3_small_100"),
    *("vgg11", "vgg13", "vgg16", "vgg19", "nfnet_f0", "efficientnet_b0"),
]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet05", ["resnet50"]),
        ("resnet19", ["resnet18"]),
        ("ResNet18", ["resnet18"]),
        ("resnet-18", ["resnet18"]),
        ("mobilnetv3_small_100", ["mobilenetv3_small_100"]),
        ("efficentnet_b0", ["efficientnet_b0"]),
        ("vgg", ["vgg11", "vgg13", "vgg16"]),
        ("mobilenetv3_small", ["mobilenetv3_small_050", "mobilenetv3_small_075", "mobilenetv3_small_100"]),
        ("tresnet", ["tresnet_l", "tresnet_m"]),
        ("resnet_typo", []),
        ("effnet_b0", []),
        ("resnet", ["resnet18", "resnet34", "resnet50"]),
        ("x", []),
        ("", []),
    ],
)
def test_what_is_meant(name, meant):
    assert close(name, ZOO) == meant


def test_suggestions_read_as_a_sentence():
    assert did_you_mean("epoch", ["epochs", "lr"]) == "; did you mean 'epochs'?"
    assert did_you_mean("cukd_v9", ["cukd_v1", "cukd_v2"]) == "; did you mean 'cukd_v1' or 'cukd_v2'?"
    assert did_you_mean("vgg", ZOO) == "; did you mean 'vgg11', 'vgg13' or 'vgg16'?"
    assert did_you_mean("bits", ["bits", "loss"]) == ""


NAMES = st.text("abAB01_.", max_size=8)


@given(NAMES, st.lists(NAMES, max_size=8), st.randoms(use_true_random=False))
def test_a_name_is_never_its_own_suggestion_and_order_does_not_matter(name, choices, random):
    found = close(name, [*choices, name])
    assert name not in found
    assert set(found) <= set(choices)
    assert len(found) <= 3
    shuffled = [*choices, *choices]
    random.shuffle(shuffled)
    assert close(name, shuffled) == found


@given(st.text("abcdefgh", min_size=4, max_size=10), st.data())
def test_one_slip_is_understood(name, data):
    place = data.draw(st.integers(0, len(name) - 2))
    swapped = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    dropped = name[:place] + name[place + 1 :]
    for slip in {swapped, dropped} - {name}:
        assert close(slip, [name, "0" * 20]) == [name]


@given(st.text() | st.binary().map(os.fsdecode))
def test_what_is_escaped_needs_no_terminal_that_obeys(text):
    shown = escaped(text)
    assert shown.isprintable()
    shown.encode()
    if text.isprintable():
        assert shown == text
