"""What records say of machine and code."""

import subprocess
import sys

import pytest

from bench import environment

TWO_GPUS = "0, GPU-aaaa, Tesla T4\n1, GPU-bbbb, NVIDIA A100-SXM4-80GB\n"


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two GPUs."""
    monkeypatch.setattr(environment, "_output", lambda *command: TWO_GPUS)
    monkeypatch.setattr(environment, "package_version", lambda name: "2.9.0")
    environment.gpu_model.cache_clear()
    yield
    environment.gpu_model.cache_clear()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, "Tesla T4"),
        ("1", "NVIDIA A100-SXM4-80GB"),
        ("1,0", "NVIDIA A100-SXM4-80GB"),
        ("GPU-bb", "NVIDIA A100-SXM4-80GB"),
        ("MIG-cccc", "Tesla T4"),
        ("", None),
        ("-1", None),
        ("7", None),
    ],
)
def test_the_gpu_is_the_first_that_is_visible(gpus, monkeypatch, visible, expected):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert environment.gpu_model() == expected


def test_a_torch_without_cuda_has_no_gpu(gpus, monkeypatch):
    monkeypatch.setattr(environment, "package_version", lambda name: "2.9.0+cpu")
    assert environment.gpu_model() is None


def test_a_commit_is_that_of_this_project_or_none(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    command = ["git", "-C", tmp_path, *author, "commit", "--quiet", "--allow-empty", "-m", "x"]
    subprocess.run(command, check=True)
    for package, found in (("bench", True), (".venv/lib/bench", False)):
        place = tmp_path / package / "environment.py"
        monkeypatch.setattr(environment, "__file__", str(place))
        environment.git_state.cache_clear()
        assert (environment.git_state() is not None) == found
    environment.git_state.cache_clear()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_a_gpu_reads_is_recorded_of_runs_on_it(gpus, monkeypatch, device):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = environment.describe(device, 2, "fp32")["variables"]
    assert ("CUBLAS_WORKSPACE_CONFIG" in found) == (device == "cuda")
    assert found["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(
    ("used", "before", "told"), [(True, "1", True), (True, "0", False), (False, "1", False)]
)
def test_a_program_that_has_used_a_gpu_is_told_what_fp32_is(monkeypatch, caplog, used, before, told):
    import torch

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", before)
    environment.set_variables()
    assert ("fp32 stays what it was there: TF32" in caplog.text) == told


@pytest.mark.gpu
def test_fp32_on_a_gpu_is_float32():
    code = """
import os
os.environ["NVIDIA_TF32_OVERRIDE"] = "1"
from bench import environment
environment.set_variables()
import torch
torch.manual_seed(0)
layers = torch.nn.Conv2d(64, 64, 3), torch.nn.Linear(64, 64)
inputs = torch.randn(4, 64, 14, 14), torch.randn(4, 14, 64)
for layer, given in zip(layers, inputs):
    exact = layer.double()(given.double())
    found = layer.float().cuda()(given.cuda()).cpu()
    print(float((found - exact).norm() / exact.norm()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 2
    assert max(errors) < 1e-6  # of TF32: 3e-4


def test_the_most_memory_so_far_is_told_in_bytes():
    before = environment.peak_memory()
    held = bytearray(64 * 2**20)
    assert environment.peak_memory() >= before
    assert environment.peak_memory() >= len(held)
