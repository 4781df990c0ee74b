"""What records say of machine and code."""

import subprocess

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


def test_the_most_memory_so_far_is_told_in_bytes():
    before = environment.peak_memory()
    held = bytearray(64 * 2**20)
    assert environment.peak_memory() >= before
    assert environment.peak_memory() >= len(held)
