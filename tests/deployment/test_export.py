"""A cell's student as a bundle: what is in it, that it proves itself, and what happens where it cannot."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli import main
from bench.deployment import export as exporting
from bench.deployment import proof
from bench.deployment.bundle import Bundle, FileEntry
from bench.deployment.card import agreement_lines
from bench.deployment.cells import find_cell
from bench.deployment.encoder import Encoder
from bench.deployment.export import ExportOptions, export
from bench.deployment.place import put_in_place
from bench.deployment.proof import TOLERANCES, Agreement, Tolerance
from bench.deployment.student import load, student_of
from bench.errors import CellError, DataError, UsageError
from bench.hamming import first_bits, pack_signs
from tests.conftest import PLUGINS, TINY_GRID, Result
from tests.recorded import edit

NAME = "synthetic__tiny_teacher__tiny_student__cukd__csq__16b__s0"
#: A cell whose codes are made of several views.
SEVERAL = "synthetic__no-teacher__tiny_student__none__csq__8b__s0"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder in which the tiny grid has been run and one cell exported to ``bundle``."""
    place = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name in ("cache", "data"):
            patch.setenv(f"BENCH_{name.upper()}", str(place / name))
        patch.setenv("CI", "1")
        plugins = ["--include", str(PLUGINS / "tiny.py")]
        views = "{scales: [1, 0.5], flip: true}"
        include = (
            f"include: [{{method: none, loss: csq, bits: 8, encode: {views}}}, "
            "{method: none, loss: dch, bits: [[8, 16]]}]\n"
        )
        grid = TINY_GRID.replace("loss: [csq, dch]", "loss: [csq, none]") + include
        (place / "grid.yaml").write_text(grid)
        assert main(["run", "--grid", "grid.yaml", "--jobs", "1", "-q", *plugins]) == 0
        assert main(["export", f"results/tiny/{NAME}", "bundle", "-q", *plugins]) == 0
        yield place


@pytest.fixture
def within(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    monkeypatch.setenv("BENCH_CACHE", str(home / "cache"))
    monkeypatch.setenv("BENCH_DATA", str(home / "data"))
    monkeypatch.setenv("CI", "1")
    return home


@pytest.fixture
def options(within: Path) -> ExportOptions:
    return ExportOptions(data_root=within / "data", threads=2)


@pytest.fixture
def said(within: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        code = main(["export", *map(str, arguments), "--include", str(PLUGINS / "tiny.py")])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def test_what_is_in_a_bundle(within: Path) -> None:
    bundle = Bundle.read(within / "bundle")
    files = {path.relative_to(within / "bundle").as_posix() for path in (within / "bundle").rglob("*.*")}
    assert files == {*bundle.files, "bundle.json"}
    golden = {f"golden/{number}.png" for number in range(8)} | {"golden/codes.npz"}
    assert set(bundle.files) == golden | {
        *("model.onnx", "model.safetensors", "architecture.json", "CARD.md", "requirements.txt")
    }
    assert (bundle.bits, bundle.dimensions, bundle.precision) == (16, 16, "fp32")
    record = find_cell(f"results/tiny/{NAME}").record
    assert bundle.made_from.record == record.key
    assert bundle.made_from.stages == {
        name: record.stages[name].key for name in ("distill", "finetune", "encode")
    }
    assert bundle.name == NAME
    assert not list(within.glob(".bundle*")), "what it was written into is gone"


def test_it_makes_the_codes_that_the_cell_was_judged_by(within: Path) -> None:
    bundle = Bundle.read(within / "bundle")
    found = bundle.agreement
    assert found["bits_changed"] <= 0.001
    assert found["photo_bits_changed"] <= 0.01
    assert found["bundle"] == pytest.approx(found["suite"], abs=1e-3)
    record = find_cell(f"results/tiny/{NAME}").record
    assert found["suite"] == pytest.approx(record.metrics[found["accuracy"]].value, abs=1e-12)
    assert not found["sampled"]


def test_golden_codes_come_out_again(within: Path) -> None:
    encoder = Encoder(Bundle.read(within / "bundle"), 1)
    expected = np.load(within / "bundle/golden/codes.npz")
    sizes = set()
    for number in range(8):
        picture = np.asarray(Image.open(within / f"bundle/golden/{number}.png").convert("RGB"))
        encoded = encoder(picture[None])
        np.testing.assert_allclose(encoded.outputs[0], expected["outputs"][number], atol=1e-5)
        assert (encoded.codes[0] == expected["codes"][number]).all()
        sizes.add(picture.shape)
    assert len(sizes) == 3, "two of them have another size and shape"


def test_the_network_in_torch_is_the_same(within: Path, options: ExportOptions) -> None:
    student = student_of(find_cell(f"results/tiny/{NAME}"), options.data_root)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    net = load(str(within / "bundle"))
    with torch.no_grad():
        torch.testing.assert_close(net(images), student.net(images))
    own = student.net.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in net.state_dict().items())


def test_several_views_are_a_part_of_the_bundle(
    said: Callable[..., Result], within: Path, options: ExportOptions, tmp_path: Path
) -> None:
    assert said(f"results/tiny/{SEVERAL}", tmp_path / "b").code == 0
    bundle = Bundle.read(tmp_path / "b")
    assert bundle.agreement["bits_changed"] <= 0.001
    student = student_of(find_cell(f"results/tiny/{SEVERAL}"), options.data_root)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    net = load(str(tmp_path / "b"))
    with torch.no_grad():
        torch.testing.assert_close(net(images), student.net(images))
        assert net(images).norm(dim=1).max() <= 4.001  # four views of length 1


def test_a_network_of_several_lengths_serves_them_all(options: ExportOptions, tmp_path: Path) -> None:
    shorter, longer = (
        find_cell(f"results/tiny/synthetic__no-teacher__tiny_student__none__dch__{bits}b__s0")
        for bits in (8, 16)
    )
    whole = export(longer, tmp_path / "whole", options).bundle
    assert (whole.bits, whole.lengths) == (16, (8, 16))
    assert "whose first 8 bits are codes, too (`encode --bits`)" in (tmp_path / "whole/CARD.md").read_text()
    assert Bundle.read(tmp_path / "whole").lengths == (8, 16)
    alone = export(shorter, tmp_path / "alone", options).bundle
    assert (alone.bits, alone.lengths) == (8, ())
    assert "lengths" not in (tmp_path / "alone/bundle.json").read_text()
    images = np.random.default_rng(0).integers(256, size=(20, 16, 16, 3), dtype=np.uint8)
    codes = [Encoder(bundle, 1)(images).codes for bundle in (whole, alone)]
    np.testing.assert_array_equal(first_bits(codes[0], 8), codes[1])
    assert load(str(tmp_path / "alone"))(torch.zeros(2, 3, 16, 16)).shape == (2, 8)


def test_the_card_says_what_the_record_says(within: Path) -> None:
    card = (within / "bundle/CARD.md").read_text()
    record = find_cell(f"results/tiny/{NAME}").record
    for words in (
        f"{record.metrics['map@all:expected:relevant'].value:.4f}",
        f"{record.metrics['map@all:index:hits'].value:.4f}",
        "distilled with cukd from tiny_teacher",
        record.key,
        "onnxruntime",
        "student tiny_student: started from random weights",
    ):
        assert words in card


def test_json_is_the_bundle(said: Callable[..., Result], tmp_path: Path) -> None:
    done = said(f"results/tiny/{NAME}", tmp_path / "b", "--json", "--sample", 100, "--zip")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["agreement"]["database"] == 100
    assert told["agreement"]["sampled"]
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    assert Bundle.read(tmp_path / "out/b") == Bundle.read(tmp_path / "b")


# -- What cannot be --------------------------------------------------------------------------------


def test_a_bundle_that_makes_other_codes_is_none(
    said: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is made of another network, as a wrong operator of a runtime would make it."""

    def spoilt(net: torch.nn.Module) -> torch.nn.Module:
        with torch.no_grad():
            net.head.weight[3] *= -1
            net.head.bias[3] *= -1
        return net

    monkeypatch.setattr(exporting, "folded", spoilt)
    done = said(f"results/tiny/{NAME}", tmp_path / "b")
    assert done.code == 1
    assert "no bundle: 6.250% of what it makes of the cell's images differs, and 0.100% may" in done.err
    assert not list(tmp_path.iterdir())


def agreement(**values: object) -> Agreement:
    same = {
        "bits_changed": 0.0,
        "photo_bits_changed": 0.0,
        "difference": 0.0,
        "tolerance": TOLERANCES["fp32"],
    }
    rest = {field.name: 0 for field in dataclasses.fields(Agreement)} | {"accuracy": "map", "interval": None}
    return Agreement(**{**rest, **same, **values})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bits_changed": 0.0011}, "0.110% of what it makes of the cell's images"),
        ({"photo_bits_changed": 0.2}, "photos"),
        ({"difference": -0.006}, "map is"),
        ({"difference": 0.006}, "map is"),
        ({"bits_changed": float("nan")}, "nan"),
    ],
)
def test_what_is_too_far_is_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(CellError, match=words):
        agreement(**values).require()


def test_what_is_near_enough_is_not() -> None:
    agreement(bits_changed=0.001, photo_bits_changed=0.001, difference=0.005).require()
    agreement(bits_changed=0.05, tolerance=Tolerance(bits=0.1, accuracy=0.0)).require()


def test_a_folder_that_is_taken(said: Callable[..., Result], within: Path, tmp_path: Path) -> None:
    done = said(f"results/tiny/{NAME}", within / "bundle")
    assert done.code == 2
    assert "a bundle is there; give another folder, or --replace it" in done.err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("precious")
    done = said(f"results/tiny/{NAME}", tmp_path / "mine", "--replace")
    assert done.code == 2
    assert "no bundle" in done.err
    assert (tmp_path / "mine/thesis.tex").read_text() == "precious"


def test_a_sample_of_a_handful_proves_nothing(said: Callable[..., Result]) -> None:
    done = said(f"results/tiny/{NAME}", "b", "--sample", 1)
    assert done.code == 2
    assert "--sample" in done.err


def test_what_a_killed_export_left_is_removed_and_what_is_at_work_is_not(
    within: Path, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], check=True, capture_output=True
    )
    left, busy = tmp_path / f".b.{int(ended.stdout)}", tmp_path / f".b.{os.getppid()}"
    for folder in (left, busy, tmp_path / ".b.notes"):
        folder.mkdir()
    with put_in_place(tmp_path / "b", replace=False) as place:
        (place / "file").write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"b", busy.name, ".b.notes"}
    assert (tmp_path / "b/file").read_text() == "whole"


def test_files_are_as_readable_as_each_other(within: Path) -> None:
    files = [path for path in (within / "bundle").rglob("*") if path.is_file()]
    assert len({path.stat().st_mode for path in files}) == 1


def test_a_typo_is_told_without_torch(within: Path) -> None:
    arguments = ["-X", "importtime", "-m", "bench", "export", "results/tiny/nosuch", "b"]
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert " torch\n" not in done.stderr


def edited(home: Path, folder: Path, **changes: object) -> Path:
    """A copy of the results in which the record of the cell says something else."""
    shutil.copytree(home / "results/tiny", folder, dirs_exist_ok=True)
    (path,) = folder.glob(f"records/{NAME}-*.json")

    def change(record: dict[str, Any]) -> None:
        for place, value in changes.items():
            *blocks, name = place.split("__")
            functools.reduce(dict.__getitem__, blocks, record)[name] = value

    edit(path, change)
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [("student", "resnet50"), ("bits", 64), ("image_size", 224), ("dataset", "imagenet100")],
)
def test_a_record_that_says_something_else_than_its_codes(
    within: Path, options: ExportOptions, tmp_path: Path, name: str, value: object
) -> None:
    path = edited(within, tmp_path / "r", **{f"cell__{name}": value})
    with pytest.raises(UsageError, match=f"says that {name} is {value}, and its codes were made with"):
        student_of(find_cell(str(path)), options.data_root)


def test_a_record_with_another_accuracy(
    said: Callable[..., Result], within: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is given a card that repeats it."""
    monkeypatch.setattr(
        exporting, "write_graph", lambda *a, **b: shutil.copy(within / "bundle/model.onnx", a[4])
    )
    path = edited(within, tmp_path / "r", **{"metrics__map@all:expected:relevant__value": 0.9999})
    shutil.rmtree(tmp_path / "r/per_query")  # of which it is no longer the mean
    done = said(path, tmp_path / "b")
    assert done.code == 1
    assert "the record says that map@all:expected:relevant is 0.9999, and by its codes it is 0." in done.err
    assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("within")
def test_codes_that_depend_on_what_is_computed_with_them(
    options: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that normalises by its batch has no code of an image; the suite has large batches."""

    class ByBatch(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            outputs = self.net(images)
            return outputs - outputs.mean(dim=0, keepdim=True)

    found = student_of(find_cell(f"results/tiny/{NAME}"), options.data_root)
    net, codes = ByBatch(found.net), {}
    for part in found.codes:
        with torch.no_grad():
            outputs = [net(torch.from_numpy(some)) for some in found.inputs(found.places(part))]
        codes[part] = pack_signs(torch.cat(outputs).numpy())
    spoilt = dataclasses.replace(found, net=net, codes=codes)
    monkeypatch.setattr(exporting, "student_of", lambda *arguments: spoilt)
    monkeypatch.setattr(proof, "_check_record", lambda *arguments: None)
    with pytest.raises(CellError, match="of what it makes of the cell's images differs"):
        export(find_cell(f"results/tiny/{NAME}"), tmp_path / "b", options)


def test_no_metric_is_needed_but_the_one_that_judges(
    within: Path, options: ExportOptions, tmp_path: Path
) -> None:
    cell = find_cell(str(edited(within, tmp_path / "r", params__measure={"gone": {}, "map": {}})))
    encoder = Encoder(Bundle.read(within / "bundle"), 1)
    student = student_of(cell, options.data_root)
    assert proof.prove(student, cell.record, encoder, TOLERANCES["fp32"], sample=20).bits_changed == 0


def test_a_sample_says_that_it_is_one(within: Path, options: ExportOptions) -> None:
    agreed = agreement(accuracy="map@all:expected:relevant", sampled=True)
    assert "mAP@all within the sample" in agreement_lines(agreed, 16)
    assert "mAP@all" in agreement_lines(dataclasses.replace(agreed, sampled=False), 16)


def test_a_sample_in_which_nothing_can_be_found(within: Path, options: ExportOptions) -> None:
    cell = find_cell(f"results/tiny/{NAME}")
    encoder = Encoder(Bundle.read(within / "bundle"), 1)
    with pytest.raises(UsageError, match="--sample 1: holds nothing that its queries could find"):
        proof.prove(student_of(cell, options.data_root), cell.record, encoder, TOLERANCES["fp32"], sample=1)


def test_cell_and_folder_are_both_named(said: Callable[..., Result]) -> None:
    for arguments in (["x"], ["a", "b", "c"], ["--best", "results/tiny", "a", "b"], []):
        done = said(*arguments)
        assert done.code == 2
        assert "DIR" in done.err


def test_quiet_is_quiet(said: Callable[..., Result], within: Path) -> None:
    done = said(f"results/tiny/{NAME}", within / "bundle", "-q")
    assert (
        done.err == f"error: {within / 'bundle'}: a bundle is there; give another folder, or --replace it\n"
    )
    assert f"{NAME}-" in said(f"results/tiny/{NAME}", within / "bundle").err


@pytest.mark.parametrize("option", [("--within", 0.1), ("--cost", "macs")])
def test_nothing_is_chosen_where_a_cell_is_named(said: Callable[..., Result], option: tuple) -> None:
    done = said(f"results/tiny/{NAME}", "b", *option)
    assert done.code == 2
    assert "--within and --cost choose the student of --best; leave them out" in done.err


def test_damaged_weights_are_not_exported(within: Path, options: ExportOptions, tmp_path: Path) -> None:
    shutil.copytree(within / "cache", tmp_path / "cache")
    (weights,) = (tmp_path / "cache/finetune").glob("*cukd__csq*/network.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
        with pytest.raises(UsageError, match="make it anew: python -m bench run"):
            export(find_cell(f"results/tiny/{NAME}"), tmp_path / "b", options)
    assert not (tmp_path / "b").exists()


def test_other_data_are_refused(
    within: Path, options: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.data import loading

    real = loading.load
    monkeypatch.setattr(
        loading, "load", lambda *a, **how: dataclasses.replace(real(*a, **how), manifest_hash="0" * 64)
    )
    with pytest.raises(DataError, match="other images or splits of synthetic"):
        export(find_cell(f"results/tiny/{NAME}"), tmp_path / "b", options)


def test_an_interruption_leaves_nothing(
    within: Path, options: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "prove", stop)
    monkeypatch.setattr(
        exporting, "write_graph", lambda *a, **b: shutil.copy(within / "bundle/model.onnx", a[4])
    )
    with pytest.raises(KeyboardInterrupt):
        export(find_cell(f"results/tiny/{NAME}"), tmp_path / "b", options)
    assert not list(tmp_path.iterdir())


# -- Other students ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_embeddings(within: Path, options: ExportOptions, tmp_path: Path) -> None:
    name = NAME.replace("csq__16b", "none__float")
    exported = export(find_cell(f"results/tiny/{name}"), tmp_path / "b", options)
    assert exported.bundle.bits == 0
    assert exported.agreement.bits_changed < 1e-6
    assert exported.agreement.difference == pytest.approx(0, abs=1e-3)
    assert np.load(tmp_path / "b/golden/codes.npz").files == ["outputs"]


@pytest.mark.slow
def test_int8(within: Path, options: ExportOptions, tmp_path: Path) -> None:
    int8 = dataclasses.replace(options, precision="int8", tolerance=Tolerance(0.2, 0.2))
    exported = export(find_cell(f"results/tiny/{NAME}"), tmp_path / "b", int8)
    assert exported.bundle.precision == "int8"
    assert 0 < exported.agreement.bits_changed < 0.2


def test_checksums_are_those_of_the_files(within: Path) -> None:
    bundle = Bundle.read(within / "bundle")
    for name, entry in bundle.files.items():
        assert FileEntry.of(within / "bundle" / name) == entry
