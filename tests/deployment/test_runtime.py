"""Encoding and searching where the five packages of the extra ``runtime`` are installed and nothing else."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.deployment import requirements as module
from bench.deployment.encoder import Encoder
from bench.deployment.example import example
from bench.deployment.requirements import requirements
from tests.deployment.bundles import write_bundle
from tests.deployment.photos import scene

ROOT = Path(__file__).parents[2]
PACKAGES = {"click", "faiss-cpu", "numpy", "onnxruntime", "pillow"}


def names(text):
    return {re.split(r"[<>=]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_requirements_are_those_of_the_extra(monkeypatch, tmp_path):
    assert names(requirements()) == PACKAGES
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    everything = setup["options"]["install_requires"].split()
    versions = dict(re.split(r"(?=[<>=])", line, maxsplit=1) for line in everything)
    for line in setup["options.extras_require"]["runtime"].split():
        name, version = re.split(r"(?=[<>=])", line, maxsplit=1)
        assert versions.get(name, version) == version, "the suite itself needs another version"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_where_there_is_no_checkout_the_installed_package_knows(monkeypatch, tmp_path, quote):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "bench/deployment/requirements.py"))
    noted = ["torch>=2", f"numpy>=2; extra == {quote}runtime{quote}", f"onnx>=1; extra == {quote}onnx{quote}"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: noted)
    assert names(requirements()) == {"numpy"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A new environment made as a bundle's requirements.txt says; returns its Python."""
    folder = tmp_path_factory.mktemp("runtime")
    source = folder / "source"
    for name in ("bench", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    (folder / "requirements.txt").write_text(requirements())
    for arguments in (
        ["install", "-r", str(folder / "requirements.txt")],
        ["wheel", "--no-deps", "--wheel-dir", str(folder), str(source)],
    ):
        subprocess.run([python, "-m", "pip", "--quiet", *arguments], check=True)
    (wheel,) = folder.glob("hash_pareto-*.whl")
    subprocess.run([python, "-m", "pip", "--quiet", "install", "--no-deps", str(wheel)], check=True)
    return python


def call(python, *arguments, folder):
    command = [python, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_environment_holds_the_five_and_what_they_need(installed):
    listed = subprocess.run(
        [installed, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True
    )
    found = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert found >= {*PACKAGES, "hash-pareto"}
    assert not found & {
        "torch",
        "torchvision",
        "timm",
        "pydantic",
        "pandas",
        "rich",
        "pyyaml",
        "onnx",
        "scipy",
    }


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "dimensions"), [(48, 48), (0, 16)])
def test_golden_images_have_their_codes_there(installed, tmp_path, bits, dimensions):
    bundle = write_bundle(tmp_path / "bundle", bits, dimensions, height=24, width=16)
    (tmp_path / "bundle/golden").mkdir()
    for number in range(8):
        scene(number).resize((16, 24)).save(tmp_path / f"bundle/golden/{number}.png")
    pixels = np.stack([np.asarray(Image.open(tmp_path / f"bundle/golden/{n}.png")) for n in range(8)])
    golden = Encoder(bundle, 1)(pixels)
    encoded = call(installed, "encode", "bundle", "bundle/golden", folder=tmp_path)
    assert (encoded.returncode, encoded.stderr) == (0, "")
    with np.load(tmp_path / "codes.npz") as arrays:
        if bits:
            np.testing.assert_array_equal(arrays["codes"], golden.codes)
        else:
            np.testing.assert_allclose(arrays["embeddings"], golden.outputs, atol=1e-6)
    found = call(
        installed,
        *("search", "bundle", "bundle/golden", "--index", "codes.npz", "-k", 3),
        *("--html", "page.html", "--json"),
        folder=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    queries = json.loads(found.stdout)["queries"]
    assert [query["results"][0]["path"] for query in queries] == [query["path"] for query in queries]
    assert (tmp_path / "page.html").read_text().count("<img") == 8 * 4
    Image.fromarray(pixels[0]).save(tmp_path / "bundle/photo.png")
    (tmp_path / "bundle/example.py").write_text(example(bits, dimensions).replace("photo.jpg", "photo.png"))
    said = subprocess.run(
        [installed, "example.py"], cwd=tmp_path / "bundle", check=True, capture_output=True, text=True
    )
    if bits:
        assert said.stdout.startswith(golden.codes[0].tobytes().hex())


@pytest.mark.slow
def test_help_is_there_and_other_verbs_say_what_to_install(installed, tmp_path):
    assert "\n  encode " in call(installed, "--help", folder=tmp_path).stdout
    for verb in ("encode", "search", "run", "report"):
        assert call(installed, verb, "--help", folder=tmp_path).returncode == 0
    shutil.copytree(ROOT / "results/published/quick", tmp_path / "results")
    shutil.copy(ROOT / "grid.yaml", tmp_path)
    for arguments in (
        ["run"],
        ["plan"],
        ["report", "results"],
        ["compare", "results", "results"],
        ["check", "--baseline", "results", "results"],
        ["export", "--best", "results", "bundle"],
        ["evaluate", "codes.npz"],
        ["measure", "cukd_v1"],
        ["ls", "losses"],
        ["data", "prepare", "digits"],
        ["doctor"],
    ):
        result = call(installed, *arguments, folder=tmp_path)
        expected = r"error: this needs the package '\w+'; run: pip install hash-pareto\n"
        assert result.returncode == 2, (arguments, result)
        assert re.fullmatch(expected, result.stderr), (arguments, result.stderr)
        assert result.stdout == ""


@pytest.mark.slow
def test_the_console_script_works_there(installed, tmp_path):
    script = installed.parent / "hash-pareto"
    said = subprocess.run([script, "--version"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout.startswith("hash-pareto, version ")
