"""A bundle that was read is the one that was written, and any other is refused in one line."""

from __future__ import annotations

import json
import shutil

import pytest

from bench.deployment.bundle import FILE, MODEL, Bundle, FileEntry
from bench.errors import UsageError
from tests.deployment.bundles import edit, write_bundle


def put(*place, value):
    """A change of one value of ``bundle.json``."""

    def change(data):
        inner = data
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        return data

    return change


@pytest.mark.parametrize("bits", [12, 0])
def test_what_was_written_is_read(tmp_path, bits):
    written = write_bundle(tmp_path, bits, 12)
    bundle = Bundle.read(tmp_path)
    assert bundle == written
    assert bundle.folder == tmp_path
    assert bundle.fingerprint == FileEntry.of(tmp_path / MODEL).sha256
    assert bundle.code_bytes == (2 if bits else 0)
    assert json.loads((tmp_path / FILE).read_text()) == bundle.to_json()
    assert bundle.model() == (tmp_path / MODEL).read_bytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put("schema_version", value=2), "schema version 2 is newer than this program; update hash-pareto"),
        (put("schema_version", value=0), "schema_version must be 1, not 0"),
        (put("schema_version", value=True), "schema_version must be 1, not true"),
        (put("bit", value=2), "unknown key 'bit'; did you mean 'bits'?"),
        (put("bits", value="12"), 'bits must be a whole number from 0 to 4096, not "12"'),
        (put("bits", value=True), "bits must be a whole number from 0 to 4096, not true"),
        (put("bits", value=10**9), "bits must be a whole number"),
        (put("lengths", value=[8, 11]), "lengths must ascend to 12, the bits of a code"),
        (put("lengths", value=[12, 8]), "lengths must ascend to 12, the bits of a code"),
        (put("lengths", value=[8, 8, 12]), "lengths must ascend to 12, the bits of a code"),
        (put("bits", value=11), "dimensions must be 11, as many as bits, not 12"),
        (put("precision", value="fp16"), "precision must be one of fp32, int8"),
        (put("precision", value=["fp32"]), "precision must be one of fp32, int8"),
        (put("preprocessing", value=[]), "preprocessing must be an object, not []"),
        (put("preprocessing", "mean", value=[0, 0]), "preprocessing.mean must be a list of 3"),
        (put("preprocessing", "std", value=[1, 0, 1]), "preprocessing.std[1] must be a number from 1e-06"),
        (put("preprocessing", "height", value=10**8), "preprocessing.height must be a whole number"),
        (put("preprocessing", "crop", value=float("nan")), "preprocessing.crop must be a number"),
        (
            put("preprocessing", "crops", value=1),
            "unknown key 'crops' in preprocessing; did you mean 'crop'?",
        ),
        (put("made_from", "record", value="x"), "made_from.record must be a sha256 in hex"),
        (put("classes", value=["a", 1]), "classes[1] must be a string, not 1"),
        (put("agreement", value=None), "agreement must be an object, not null"),
        (put("files", value={}), "no key 'model.onnx' in files"),
        (put("files", "../secret", value={"sha256": "0" * 64, "bytes": 0}), "names of files in the bundle"),
        (put("files", "/etc/passwd", value={"sha256": "0" * 64, "bytes": 0}), "names of files in the bundle"),
        (put("files", "model.onnx", "bytes", value=-1), "files.model.onnx.bytes must be a whole number"),
        (lambda data: [data], "schema_version must be 1, not null"),
        (lambda data: {**data, "name": 3}, "name must be a string, not 3"),
    ],
)
def test_another_object_is_refused_with_its_place(tmp_path, change, expected):
    write_bundle(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(UsageError) as caught:
        Bundle.read(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / FILE}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["bits", "files", "preprocessing", "created"])
def test_no_key_may_lack(tmp_path, key):
    write_bundle(tmp_path)
    edit(tmp_path, lambda data: {name: value for name, value in data.items() if name != key})
    with pytest.raises(UsageError, match=f"no key '{key}'"):
        Bundle.read(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b'{"a": 1}' * 2, b'"' + b"x" * 1000]
)
def test_what_is_no_json_is_refused(tmp_path, content):
    write_bundle(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UsageError, match=r"bundle\.json: (not JSON|schema_version must be)"):
        Bundle.read(tmp_path)


def test_where_no_bundle_is_the_command_that_makes_one_is_named(tmp_path):
    for folder, hint in ((tmp_path, ""), (tmp_path / "absent", ""), (tmp_path / "b.zip", r" \(unpack it")):
        with pytest.raises(UsageError, match=rf"no bundle{hint}.*python -m bench export"):
            Bundle.read(folder)


@pytest.mark.parametrize("name", [MODEL, "weights/model.bin"])
@pytest.mark.parametrize("damage", ["longer", "other"])
def test_a_file_that_is_not_the_exported_one_is_named(tmp_path, name, damage):
    write_bundle(tmp_path)
    path = tmp_path / name
    if name != MODEL:
        path.parent.mkdir()
        path.write_bytes(b"weights")
        edit(tmp_path, put("files", name, value=vars(FileEntry.of(path))))
        Bundle.read(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data + b"x" if damage == "longer" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(UsageError, match=rf"{name}: not the file that was exported \((it has|its checksum)"):
        Bundle.read(tmp_path)


def test_all_but_the_model_may_be_left_behind(tmp_path):
    bundle = write_bundle(tmp_path)
    entry = {"sha256": "0" * 64, "bytes": 7}
    edit(tmp_path, put("files", "model.safetensors", value=entry))
    assert "model.safetensors" in Bundle.read(tmp_path).files
    (tmp_path / MODEL).unlink()
    for read in (lambda: Bundle.read(tmp_path), bundle.model):
        with pytest.raises(UsageError, match=r"model\.onnx: not the file .*it is missing"):
            read()


def test_a_model_that_changed_after_reading_is_not_loaded(tmp_path):
    bundle = write_bundle(tmp_path)
    (tmp_path / MODEL).write_bytes(b"another")
    with pytest.raises(UsageError, match="its checksum differs"):
        bundle.model()


def test_a_folder_that_lacks_what_makes_it_a_bundle(bundle, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(bundle.folder, half)
    (half / "bundle.json").unlink()
    for folder, words in ((half, "copy the whole bundle again"), (half / "model.onnx", "give the folder")):
        with pytest.raises(UsageError, match=words):
            Bundle.read(folder)
