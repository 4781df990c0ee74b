"""A bundle with something wrong in it is refused in one line, and nothing but its graph is ever run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from bench.deployment.bundle import MODEL, FileEntry
from bench.deployment.encoder import Encoder
from bench.errors import UsageError
from tests.deployment.bundles import edit, model, write_bundle

ROOT = Path(__file__).parents[2]
#: Seeds that one process tries.
CHUNK = 100


def outcomes(kind, count, folder):
    """What came of each seed."""
    write_bundle(folder / "bundle", 12)
    Image.new("RGB", (9, 7), (200, 30, 90)).save(folder / "photo.png")
    (folder / "secret.bin").write_bytes(bytes(range(256)) * 64)
    for first in range(0, count, CHUNK):
        arguments = [kind, first, min(first + CHUNK, count), folder]
        done = subprocess.run(
            [sys.executable, "-m", "tests.deployment.fuzzing", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, f"died of {done.returncode} after {lines[-1]}: {done.stderr[-500:]}"
        yield from (line for line in lines if "code" in line)


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["json", "model"])
def test_whatever_is_wrong_is_one_line(tmp_path, kind, count):
    refused = 0
    for outcome in outcomes(kind, count, tmp_path):
        assert outcome["code"] in {0, 2}, outcome
        if outcome["code"] == 2:
            assert outcome["err"].startswith("error: "), outcome
            assert outcome["err"].count("\n") == 1, outcome
            assert len(outcome["err"]) < 1000, outcome
            assert outcome["written"] == [], outcome
            refused += 1
        else:
            assert outcome["err"] == "", outcome
            assert outcome["written"] == ["codes.npz"], outcome
    assert count / 2 < refused < count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "photo.png", "secret.bin"]


@pytest.mark.parametrize("name", ["secret.bin", "./secret.bin", "/etc/hostname", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("constant", [False, True])
def test_weights_in_another_file_are_never_read(tmp_path, monkeypatch, name, constant):
    """ONNX Runtime would read them from the working folder, or from an address in memory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.ones(1000, np.float32).tobytes())
    made = model(12, 12)
    tensor = next(tensor for tensor in made.graph.initializer if tensor.name == "directions")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", name
    if constant:
        made.graph.node.insert(0, helper.make_node("Constant", [], ["directions"], value=tensor))
        made.graph.initializer.remove(tensor)
    bundle = write_bundle(tmp_path / "bundle", 12, made=made)
    with pytest.raises(UsageError, match="it keeps weights in another file; export it again"):
        Encoder(bundle, 1)


@pytest.mark.parametrize("length", [b"\x08", b"\x88\x00", b"\x88\x80\x00", b"\x88\x80\x80\x00"])
def test_no_way_to_write_a_length_hides_the_other_file(tmp_path, length):
    made = model(12, 12)
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret.bin"
    plain = entry.SerializeToString()
    hidden = plain.replace(b"\x08location", length + b"location")
    assert onnx.StringStringEntryProto.FromString(hidden) == entry
    bundle = write_bundle(tmp_path, 12)
    (tmp_path / MODEL).write_bytes(made.SerializeToString().replace(plain, hidden))
    edit(tmp_path, lambda data: {**data, "files": {MODEL: vars(FileEntry.of(tmp_path / MODEL))}})
    with pytest.raises(UsageError, match="it keeps weights in another file"):
        Encoder(type(bundle).read(tmp_path), 1)


def test_weights_that_hold_the_word_by_chance_are_no_other_file(tmp_path):
    made = model(12, 12)
    made.doc_string = "relocation of a location"
    assert (
        Encoder(write_bundle(tmp_path, 12, made=made), 1)(np.zeros((1, 8, 8, 3), np.uint8)).codes is not None
    )
