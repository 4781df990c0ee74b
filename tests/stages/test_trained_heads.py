"""Heads that are trained otherwise than they are deployed: what is left of them after step 2."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from models.layers.heads import BalancedHead
from tests.left import artifacts, loaded

ONLY = "--only", "method=none"


def test_a_balanced_head_costs_and_says_what_a_linear_one_does(tiny, folder, monkeypatch):
    trained = []
    right = BalancedHead.folded
    monkeypatch.setattr(BalancedHead, "folded", lambda head: trained.append(head) or right(head))
    edit = "[csq, dch]", "[{name: orthohash, params: {select: val, eval_every: 1}}, dch]"
    assert tiny("run", *ONLY, edit=edit).code == 0
    ours, dch = sorted(loaded(Path("results/tiny")), key=lambda record: record.cell.loss != "orthohash")
    for metric in ("params", "macs", "latency_ms"):
        assert ours.metric(metric)[1] == dch.metric(metric)[1]
    assert ours.stages["finetune"].history[-1].keys() >= {"centers", "val_map"}
    (head,) = trained
    (path,) = (path for path in artifacts(folder, "finetune") if "orthohash" in path.name)
    kept = load_file(path / "network.safetensors")
    features = torch.randn(20, 12)
    said = features @ kept["head.weight"].T + kept["head.bias"]
    torch.testing.assert_close(said, head.eval()(features).detach(), atol=1e-5, rtol=1e-4)
