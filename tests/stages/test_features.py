"""Features of frozen teachers: those of the live network, resumed where they stopped."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.left import artifacts, loaded


def test_cached_features_are_those_of_the_live_teacher(done, folder):
    from bench import registry
    from bench.data import loading
    from bench.stages import features
    from bench.training import views
    from bench.training.loop import seeded

    data = loading.load("synthetic", {}, Path("data"), None)
    plugin = registry.TEACHERS.get("tiny_teacher")
    teacher = plugin(plugin.Params())
    with seeded(0, torch.device("cpu")):
        net = teacher.build().eval()
    chosen = data.pool("database", 1.0, "always").indices[:8]
    for path in artifacts(folder, "features"):
        view = json.loads((path / "artifact.json").read_text())["spec"]["view"]
        cached = load_file(path / "features.safetensors")["features"].astype(np.float32)
        crops = features.crops(data.images, view)[chosen]
        inputs = views.render(torch.from_numpy(data.images.pixels[chosen]), crops, teacher.preprocessing, 16)
        with torch.inference_mode():
            live = net(inputs).numpy()
        np.testing.assert_allclose(cached[:8], live, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("scale", "reason"),
    [(1e6, "outputs of tiny_teacher reach .*, and float16 ends at 65504"), (float("nan"), "are not finite")],
)
def test_features_that_float16_cannot_hold_are_told_at_once(tiny, monkeypatch, scale, reason):
    from bench.training.micro_batches import Forward

    right = Forward.__call__
    monkeypatch.setattr(Forward, "__call__", lambda forward, inputs: right(forward, inputs) * scale)
    assert tiny("run", "--only", "method=cukd", "--only", "loss=csq").code == 1
    (record,) = loaded(Path("results/tiny"))
    assert record.error.stage == "features"
    assert re.search(reason, record.error.message)


def test_an_interrupted_teacher_goes_on_where_it_stopped(tiny, folder, monkeypatch):
    from bench.storage import growing_rows
    from bench.training import views
    from bench.training.micro_batches import Forward

    monkeypatch.setattr(views, "EVALUATION_BATCH", 128)
    monkeypatch.setattr(growing_rows, "NOTE_EVERY", 128)
    only = ("--only", "method=cukd", "--only", "loss=csq")
    many = ("dataset: [synthetic]", "dataset: [{name: synthetic, params: {per_class: 200}}]")
    shown, right = [], Forward.__call__

    def stopped(forward, batch):
        if len(shown) == 3:
            raise KeyboardInterrupt
        shown.append(len(batch))
        return right(forward, batch)

    monkeypatch.setattr(Forward, "__call__", stopped)
    assert tiny("run", *only, edit=many).code == 130
    (left,) = (folder / "cache" / "partial").iterdir()
    assert left.name.startswith("synthetic__tiny_teacher")
    before = sum(shown)
    monkeypatch.setattr(Forward, "__call__", right)
    assert tiny("run", *only, edit=many).code == 0
    assert not list((folder / "cache" / "partial").iterdir())
    indices = [json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "features")]
    summary = next(index["summary"] for index in indices if index["spec"]["view"] == 0)
    assert summary["resumed_at"] == before
    resumed = [load_file(path / "features.safetensors")["features"] for path in artifacts(folder, "features")]
    shutil.rmtree(folder / "cache")
    assert tiny("run", *only, "--out", "whole", edit=many).code == 0
    whole = [load_file(path / "features.safetensors")["features"] for path in artifacts(folder, "features")]
    np.testing.assert_array_equal(resumed, whole)
