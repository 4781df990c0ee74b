"""Step 2: which epoch is kept, what losses draw, and how a trained trunk warms up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.layers.heads import hash_network
from tests.conftest import PLUGINS
from tests.datasets.test_image_lists import write_set
from tests.left import artifacts, loaded
from tests.trainings import Trainings

#: One step on lists.
LISTS = """
schema: 1
name: lists
defaults: {image_size: 16, distill: {epochs: 2, batch_size: 8}, finetune: {epochs: 2, batch_size: 8}}
axes:
  dataset: [{name: mirflickr, params: {side: 16, crops: whole}}]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [METHOD]
  loss: [LOSS]
  bits: [16]
  seed: [0]
measure: {latency: false, search: false, peak_memory: false, macs: false, params: false}
"""

#: A loss with random parameters of its own.
DRAWING = """
import torch
from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import HashingParameters


@LOSSES.register_as("drawing")
class Drawing(Loss):
    version = 1
    Params = HashingParameters

    def __init__(self, params, task):
        super().__init__(params, task)
        self.head = torch.nn.Linear(task.bits, task.classes)

    def parameters(self):
        return self.head.parameters()

    def terms(self, codes, labels, index):
        return {"classes": torch.nn.functional.cross_entropy(self.head(codes), labels.argmax(dim=1))}
"""


def test_validation_can_choose_the_epoch_but_never_sees_a_query(tiny, folder, monkeypatch):
    from bench.stages import finetune

    touched = []
    original = finetune.outputs_of

    def spy(net, preprocessing, dataset, indices, spec, context):
        touched.append((set(indices), dataset.splits))
        return original(net, preprocessing, dataset, indices, spec, context)

    made = []

    def make(trunk, width, bits, start):
        made.append(start)
        return hash_network(trunk, width, bits, start)

    monkeypatch.setattr(finetune, "outputs_of", spy)
    monkeypatch.setattr(finetune, "hash_network", make)
    edit = ("[csq, dch]", "[{name: csq, params: {select: val, eval_every: 1, head_start: pytorch}}]")
    assert tiny("run", "--only", "method=none", edit=edit).code == 0
    assert made == ["pytorch"]
    assert len(touched) == 4
    assert all(not indices & set(splits.query) for indices, splits in touched)
    (index,) = (json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "finetune"))
    scores = [entry["val_map"] for entry in index["summary"]["history"]]
    assert index["summary"]["kept_epoch"] == 1 + scores.index(max(scores))
    assert index["summary"]["images"] == 64


def test_what_a_loss_draws_depends_on_the_seed_alone(tiny, folder):
    (folder / "drawing.py").write_text(DRAWING)
    asked = ("--include", "drawing.py", "--only", "method=none")
    loss = ("[csq, dch]", "[drawing]")
    assert tiny("run", *asked, "--out", "one", edit=loss).code == 0
    shutil.rmtree(folder / "cache")
    torch.manual_seed(123)
    assert tiny("run", *asked, "--out", "two", edit=loss).code == 0
    (one,), (two,) = loaded(Path("one")), loaded(Path("two"))
    assert one.stages["finetune"].history == two.stages["finetune"].history


def test_only_a_trunk_that_step_one_has_trained_warms_up(tiny):
    histories = {}
    for warmup in (0, 1):
        assert (
            tiny("run", "--set", f"defaults.finetune.trunk_warmup={warmup}", "--out", f"{warmup}").code == 0
        )
        for record in loaded(Path(f"{warmup}")):
            histories[warmup, record.cell.method] = record.stages["finetune"].history
    assert histories[0, "none"] == histories[1, "none"]
    assert histories[0, "cukd"] != histories[1, "cukd"]
    rates = [[epoch["lr"] for epoch in histories[warmup, "cukd"]] for warmup in (0, 1)]
    assert rates[0] == rates[1]  # of the head


def test_rows_of_several_labels_say_which_published_figures_are_of_something_else(tiny, folder, monkeypatch):
    from bench.losses import _targets

    monkeypatch.setitem(_targets._PUBLISHED, "synthetic", "first")
    several = ("[synthetic]", "[{name: synthetic, params: {multi_label: true}}]")
    assert tiny("run", "--only", "method=none", "--only", "loss=csq", edit=several).code == 0
    (record,) = loaded(Path("results/tiny"))
    assert any(
        sentence.endswith("published figures for synthetic do not compare") for sentence in record.warnings
    )


def test_training_may_show_what_is_searched(tiny, monkeypatch):
    from bench.training import views

    drawn = []
    original = views.random_crops

    def spy(images, stream, seed, view):
        drawn.append(stream)
        return original(images, stream, seed, view)

    monkeypatch.setattr(views, "random_crops", spy)
    only = ("--only", "method=none", "--only", "loss=csq")
    histories = []
    for shown in (True, False):
        out = ("--set", f"defaults.finetune.random_views={str(shown).lower()}", "--out", str(shown))
        assert tiny("run", *only, *out).code == 0
        assert (views.FINETUNE_STREAM in drawn) == shown
        drawn.clear()
        (record,) = loaded(Path(str(shown)))
        histories.append(record.stages["finetune"].history)
    assert histories[0] != histories[1]


@pytest.mark.parametrize(
    ("method", "loss"),
    [
        ("{name: cukd, params: {views: online, teacher_image_size: 16}}", "none"),
        ("{name: cukd, params: {views: 2, teacher_image_size: 16}}", "none"),
        ("none", "dch"),
    ],
    ids=["step 1", "step 1 cached", "step 2"],
)
def test_steps_show_parts_of_whole_images_and_search_their_centres(bench, folder, monkeypatch, method, loss):
    """Of lists, all images 16 x 32 and ever brighter to the right."""
    from bench.training import views

    write_set(folder / "data", "mirflickr", train_inside=True)
    ramp = Image.fromarray(np.tile(np.arange(32, dtype=np.uint8) * 4, (16, 1)))
    for path in (folder / "data").rglob("*.jpg"):
        ramp.save(path, "PNG")
    (folder / "grid.yaml").write_text(LISTS.replace("METHOD", method).replace("LOSS", loss))
    brightest: dict[bool, list[int]] = {True: [], False: []}
    original = views.render

    def spy(pixels, crops, preprocessing, image_size):
        brightest[bool(crops[:, 0].std() > 0)] += pixels[:, 0, 0, -1].tolist()
        return original(pixels, crops, preprocessing, image_size)

    monkeypatch.setattr(views, "render", spy)
    assert bench("run", "--grid", "grid.yaml", "--include", PLUGINS / "tiny.py").code == 0
    searched, trained = (set(brightest[kind]) for kind in (False, True))
    assert searched == {92}  # columns 8 to 23
    assert min(trained) < 70
    assert max(trained) > 115


#: A loss that keeps something and does not say so.
SECRETIVE = """
from bench.losses.dch import Dch
from bench.registry import LOSSES


@LOSSES.register_as("secretive")
class Secretive(Dch):
    def __init__(self, params, task):
        super().__init__(params, task)
        self.seen = 0

    def terms(self, codes, labels, index):
        self.seen += len(codes)
        return super().terms(codes, labels, index)
"""


def test_a_loss_that_keeps_its_state_to_itself_has_no_checkpoints(tiny, folder, monkeypatch):
    from bench.training import checkpoints

    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_SHARE", float("inf"))
    (folder / "secretive.py").write_text(SECRETIVE)
    only = ("--include", "secretive.py", "--only", "method=none")
    result = tiny("run", *only, edit=("[csq, dch]", "[secretive, dch]"))
    assert result.code == 0
    reason = "Secretive changes 'seen' as it trains and has no state_dict that tells it"
    assert result.err.count(reason) == 1
    assert result.err.count("goes on without a checkpoint") == 1


def test_an_incomplete_batch_of_both_steps_is_shown_where_it_is_asked_for(tmp_path, monkeypatch):
    steps = {}
    for incomplete in ("drop", "keep"):
        (folder := tmp_path / incomplete).mkdir()
        every = Trainings(
            folder,
            monkeypatch,
            TEACHER="tiny_teacher",
            STUDENT="tiny_student",
            METHOD=f"{{name: cukd, params: {{views: 1, incomplete: {incomplete}}}}}",
            LOSSES=f"{{name: csq, params: {{incomplete: {incomplete}}}}}",
        )
        for stage in every:
            every.make(stage, resumable=False)
            steps[stage.kind, incomplete] = every.steps
    # Three epochs of 84 images in batches of 32, and of 80 in batches of 24.
    assert steps == {
        ("distill", "drop"): 3 * 2,
        ("distill", "keep"): 3 * 3,
        ("finetune", "drop"): 3 * 3,
        ("finetune", "keep"): 3 * 4,
    }


@pytest.mark.parametrize("random_views", [True, False])
def test_a_batch_shows_its_images_in_as_many_views_as_the_loss_asks_for(
    tiny, folder, monkeypatch, random_views
):
    from bench.training import views

    seen = []
    original = views.render

    def spy(pixels, crops, preprocessing, image_size):
        seen.append((pixels.clone(), crops))
        return original(pixels, crops, preprocessing, image_size)

    monkeypatch.setattr(views, "render", spy)
    edit = "[csq, dch]", f"[{{name: dhd, params: {{random_views: {str(random_views).lower()}}}}}]"
    assert tiny("run", "--only", "method=none", edit=edit).code == 0
    (record,) = loaded(Path("results/tiny"))
    assert set(record.stages["finetune"].history[-1]) >= {"proxies", "distillation", "quantization"}
    steps = 2 * 2 * 2  # 64 images in batches of 32, in two epochs and two views
    pairs = list(zip(seen[:steps:2], seen[1:steps:2], strict=True))
    for (one, weak), (other, strong) in pairs:
        assert len(one) == 32
        assert torch.equal(one, other)
        assert (weak[:, 2] == 1).all()
        assert (strong[:, 2] < 1).all()
        assert (weak[:, 0] != 0).any() == random_views
    assert not np.array_equal(pairs[0][1][1], pairs[2][1][1])
