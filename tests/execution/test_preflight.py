"""What ends a run before any work."""

from __future__ import annotations

import re

import torch


def test_weights_of_the_wrong_shape_end_the_run_before_any_work(tiny, folder):
    from safetensors.torch import save_file

    save_file({"conv1.weight": torch.zeros(3)}, folder / "wrong.safetensors")
    edit = ("[tiny_student]", "[{name: cukd_v1, params: {weights: wrong.safetensors}}]")
    result = tiny("run", edit=edit)
    assert result.code == 2
    assert re.match("error: student cukd_v1: .*wrong.safetensors: does not fit the network", result.err)
    assert not (folder / "cache" / "finetune").exists()
