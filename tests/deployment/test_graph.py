"""One graph from bytes to codes, in ONNX Runtime, against the same steps in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from bench.deployment.graph import write_graph
from bench.deployment.preprocessing import Codes, Embeddings, Fit, View
from bench.types import Preprocessing

HEIGHT, WIDTH, SIZE = 12, 10, 16


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 49, width),
    )
    return nn.Sequential(*layers).eval()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class Made:
    """A graph, and the modules that it was made from."""

    def __init__(self, path: Path, bits: int, width: int, calibration: Any = None) -> None:
        self.fit, self.view = (
            Fit(HEIGHT, WIDTH, "crop"),
            View(HEIGHT, WIDTH, 0.875, False, Preprocessing(), SIZE),
        )
        self.net, self.end = network(width), Codes(bits) if bits else Embeddings()
        write_graph(self.fit, self.view, self.net, bits, path, calibration)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def runtime(self, images: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, {"images": images})

    def torch(self, images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            given = torch.from_numpy(images)
            told = self.end(self.net(self.view(self.fit(given))))
        return [one.numpy() for one in (told if isinstance(told, tuple) else (told,))]


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("graph") / "model.onnx", bits=12, width=12)


@pytest.mark.parametrize(
    "shape", [(1, HEIGHT, WIDTH), (5, HEIGHT, WIDTH), (3, 31, 47), (1, 300, 20), (2, 1, 1)]
)
def test_any_number_of_images_of_any_size(coded: Made, shape: tuple[int, ...]) -> None:
    images = noise(*shape, 3)
    (codes, outputs), (own_codes, own_outputs) = coded.runtime(images), coded.torch(images)
    assert codes.dtype == np.uint8
    assert codes.shape == (len(images), 2)
    np.testing.assert_allclose(outputs, own_outputs, atol=1e-4)
    assert (codes == own_codes)[np.abs(own_outputs).min(axis=1) > 1e-3].all()


def test_an_image_has_one_code_whatever_it_comes_with(coded: Made) -> None:
    images = noise(9, HEIGHT, WIDTH, 3)
    together = coded.runtime(images)[1]
    alone = np.concatenate([coded.runtime(image[None])[1] for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_embeddings_have_no_codes(tmp_path: Path) -> None:
    made = Made(tmp_path / "model.onnx", bits=0, width=7)
    images = noise(4, 20, 20, 3)
    (outputs,) = made.runtime(images)
    np.testing.assert_allclose(outputs, made.torch(images)[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=1), 1, atol=1e-5)


def test_int8_is_smaller_and_close(tmp_path: Path, coded: Made) -> None:
    """Nothing before the network is quantised: a byte that is resized stays that byte."""
    calibration = [
        coded.view(torch.from_numpy(noise(64, HEIGHT, WIDTH, 3)).permute(0, 3, 1, 2).float()).numpy()
    ]
    made = Made(tmp_path / "model.onnx", 12, 12, calibration)
    images = noise(40, HEIGHT, WIDTH, 3)
    outputs, exact = made.runtime(images)[1], coded.runtime(images)[1]
    assert 0 < np.abs(outputs - exact).max() < 0.1 * np.abs(exact).max()
    names = {name for node in made.session.get_inputs() for name in [node.name]}
    assert names == {"images"}
