"""The trained network in ONNX Runtime against the same in torch."""

from __future__ import annotations

import copy
import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import MissingPackageError
from bench.hamming import average_precision, pack_codes
from bench.metrics.onnx import OnnxRuntime, OnnxSession
from bench.types import Deployment, RankingRule, Retrieval, System
from models import onnx_export

SIZE, BITS = 16, 12


@pytest.fixture(scope="module")
def system() -> System:
    """A small convolutional network and random images; labels are what the network makes of them."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, BITS)
    ).eval()
    images = {
        part: torch.randn(n, 3, SIZE, SIZE) for part, n in (("query", 20), ("database", 150), ("train", 64))
    }
    with torch.no_grad():
        outputs = {part: net(batch).numpy() for part, batch in images.items()}
    codes = {part: pack_codes(values) for part, values in outputs.items()}
    labels = {part: values[:, :3].argmax(axis=1) for part, values in outputs.items()}
    retrieval = Retrieval(
        codes["query"], codes["database"], labels["query"], labels["database"], BITS, RankingRule()
    )
    deployment = Deployment(net, SIZE, torch.device("cpu"), "fp32", BITS)
    return System(deployment, retrieval, lambda part: iter(images[part].split(32)))


def test_accuracy_and_cost_of_both_precisions(system: System) -> None:
    before = copy.deepcopy(system.deployment.net.state_dict())
    params = OnnxRuntime.Params(batch_sizes=(1, 2), calibration_images=40, samples=5, warmup_seconds=0.1)
    measurement = OnnxRuntime(params).compute(system)
    values, own = measurement.values, system.retrieval
    exact = average_precision(own.query, own.database, own.query_labels, own.database_labels)
    # float32 in another order of sums: at most a bit or two near zero.
    assert values["onnx_bits_changed:fp32"].value <= 2 / (20 * BITS)
    assert values["onnx_map:fp32"].value == pytest.approx(exact.mean(), abs=0.01)
    assert 0 < values["onnx_bits_changed:int8"].value < 0.1
    for precision in ("fp32", "int8"):
        scores = measurement.per_query[f"onnx_map:{precision}"]
        assert values[f"onnx_map_change:{precision}"].value == pytest.approx((scores - exact).mean())
        for batch in (1, 2):
            latency = values[f"onnx_latency_ms@{batch}:{precision}"]
            assert len(latency.samples) == 5
            assert latency.detail["precision"] == precision
    after = system.deployment.net.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_int8_outputs_are_close_and_weights_smaller(system: System, tmp_path) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 500), nn.ReLU(), nn.Linear(500, BITS)).eval()
    images = torch.randn(64, 3, SIZE, SIZE)
    single = onnx_export.export(net, SIZE, tmp_path / "fp32.onnx")
    int8 = onnx_export.quantise(single, tmp_path / "int8.onnx", [images.numpy()])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fp32.onnx", "int8.onnx"]
    assert int8.stat().st_size < single.stat().st_size / 3
    with torch.no_grad():
        exact = net(images).numpy()
    for path, tolerance in ((single, 1e-5), (int8, 0.1)):
        outputs = OnnxSession(path, 1)(images.numpy())
        assert np.abs(outputs - exact).max() < tolerance * np.abs(exact).max()


def test_int8_needs_no_symbols_for_sizes(system: System, tmp_path, monkeypatch) -> None:
    """Their inference fails on graphs that some versions of torch export."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    def fail(*_: object) -> None:
        raise AssertionError

    net, images = system.deployment.net, next(system.batches("train")).numpy()
    single = onnx_export.export(net, SIZE, tmp_path / "fp32.onnx")
    usual = onnx_export.quantise(single, tmp_path / "int8.onnx", [images])
    monkeypatch.setattr(SymbolicShapeInference, "infer_shapes", fail)
    other = onnx_export.quantise(single, tmp_path / "other.onnx", [images])
    outputs = [OnnxSession(path, 1)(images) for path in (usual, other)]
    np.testing.assert_array_equal(*outputs)


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    with pytest.raises(MissingPackageError, match=r"run: pip install 'hash-pareto\[onnx\]'"):
        OnnxRuntime(OnnxRuntime.Params())


@pytest.mark.slow
def test_in_a_grid(tiny, folder) -> None:
    from bench.results.folder import load_results

    quick = "{batch_sizes: [1], samples: 5, warmup_seconds: 0.05}"
    edit = ("measure: {", f"measure: {{onnx: {quick}, ")
    result = tiny("run", "--only", "method=none", "--only", "loss=csq", edit=edit)
    assert result.code == 0, result.err
    (record,) = load_results(folder / "results/tiny").records
    own, other = record.metrics["map@all:expected:relevant"], record.metrics["onnx_map:fp32"]
    assert other.value == pytest.approx(own.value, abs=2e-3)
    assert record.metrics["onnx_map_change:int8"].interval is not None
