"""Networks as ONNX files: what cannot be written is told in a line."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from bench.errors import CellError
from models.onnx_export import export


class AsTheySay(nn.Module):
    """Does one thing or another, as the values of its input say."""

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean(dim=(2, 3))
        return means if means.sum() > 0 else -means


def test_a_network_that_torch_cannot_write(tmp_path, capfd):
    with pytest.raises(CellError, match="torch cannot write this network as ONNX: .*data-dependent") as error:
        export(AsTheySay(), 8, tmp_path / "a.onnx")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
