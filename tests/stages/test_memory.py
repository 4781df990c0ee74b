"""Memory that a stage will need, against what it really holds."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import environment
from bench.hamming import MEMORY_MB
from bench.stages import memory
from bench.stages.memory import _held, _step
from tests.left import loaded


def network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 256, 4)
    )


class LooksAtNumbers(nn.Module):
    """Something that shapes alone cannot tell the way."""

    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x):
        return self.net(x) if float(x.sum()) >= 0 else x.flatten(1)


def test_shapes_alone_hold_as_much_as_numbers():
    images = torch.zeros(10, 3, 16, 16)
    for train in (True, False):
        real = _held(network(), images, train=train)
        assert _held(network().to("meta"), images.to("meta"), train=train) == pytest.approx(real, rel=0.01)
        map_bytes = 10 * 8 * 256 * 4
        # Training keeps convolution, normalised and rectified; asking, what goes in and what comes out.
        assert (3 if train else 2) * map_bytes <= real <= (5 if train else 2.2) * map_bytes


def test_a_network_that_looks_at_numbers_is_tried_with_a_few_images():
    plain, looking = (_step(build, 64, 16, train=True, kept=2) for build in (network, LooksAtNumbers))
    assert looking == pytest.approx(plain, rel=0.02)


def test_a_network_that_cannot_be_run_has_its_weights():
    def broken():
        return nn.Sequential(network(), nn.Linear(5, 5))

    weights = sum(tensor.numel() for tensor in broken().parameters())
    assert _step(broken, 64, 16, train=True, kept=1) == 4 * 2 * weights


@pytest.fixture
def estimated(monkeypatch):
    """What every run has estimated."""
    found, right = [], memory.Needs.of

    def watched(self, stages):
        before = torch.get_rng_state()
        found.append(right(self, stages))
        assert torch.equal(torch.get_rng_state(), before)
        return found[-1]

    monkeypatch.setattr(memory.Needs, "of", watched)
    return found


def test_every_stage_of_a_run_is_estimated(tiny, estimated):
    assert tiny("run", "--jobs", "2", "--only", "method=cukd").code == 0
    (found,) = estimated
    assert len(found) >= 8
    assert all(memory.PROCESS <= need < 1.2 * memory.PROCESS for need in found.values())


def test_a_metric_that_reads_features_holds_pieces_of_them(tiny, estimated):
    asked = ("--set", "measure.rescore={r: [20]}", "--set", "axes.loss=[pca]", "--set", "axes.bits=[8]")
    assert tiny("run", "--jobs", "2", *asked, "--only", "method=none").code == 0
    (found,), (record,) = estimated, loaded(Path("results/tiny"))
    needs = {name: found[record.stages[f"measure/{name}"].key] for name in ("map", "rescore")}
    assert needs["rescore"] - needs["map"] > 1e6 * MEMORY_MB


def test_jobs_that_do_not_fit_into_memory_wait_for_one_another(tiny, estimated, monkeypatch):
    monkeypatch.setattr(environment, "available_memory", lambda: 1_500_000_000)
    result = tiny("run", "--jobs", "2", "-v", "--only", "method=none")
    assert result.code == 0
    assert re.search(r"memory: \w+ \S+ needs about 0.8 GB of 1.4 GB: 1 such at once, not 2\n", result.err)
    spans = []
    for path in Path("cache").glob("*/*/artifact.json"):
        index = json.loads(path.read_text())
        spans.append((index["created"] - index["seconds"], index["created"]))
    spans.sort()
    assert all(end <= start + 0.005 for (_, end), (start, _) in itertools.pairwise(spans))


def test_what_does_not_fit_at_all_runs_with_a_warning(tiny, monkeypatch):
    monkeypatch.setattr(environment, "available_memory", lambda: 100_000_000)
    result = tiny("run", "--jobs", "2", "--only", "method=none")
    assert result.code == 0
    assert (
        "needs about 0.8 GB of 0.1 GB; it runs alone and may fail: lower batch_size or image_size\n"
        in result.err
    )


def test_one_job_trains_networks_that_nothing_has_played_with(tiny, estimated):
    assert tiny("run", "--jobs", "1", "--only", "method=none").code == 0
    assert not estimated


def test_an_estimate_that_a_network_prevents_ends_no_run(tiny, folder, monkeypatch):
    def leave(*_, **__):
        raise SystemExit(3)

    monkeypatch.setattr(memory, "_held", leave)
    assert tiny("run", "--jobs", "2", "--only", "method=none").code == 0
