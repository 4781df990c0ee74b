"""Make a bundle of a cell's student, and let it prove that it is the same student before anybody has it."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench import __version__
from bench.deployment import bundle as bundles
from bench.deployment import card
from bench.deployment.bundle import Bundle, FileEntry, Origin, Precision, Preprocessing
from bench.deployment.cells import FoundCell
from bench.deployment.encoder import Encoder
from bench.deployment.graph import write_graph
from bench.deployment.place import check_place, packed, put_in_place
from bench.deployment.preprocessing import Fit, View
from bench.deployment.proof import TOLERANCES, Agreement, Tolerance, prove
from bench.deployment.requirements import requirements
from bench.deployment.student import STATE, Student, student_of
from bench.types.sizes import sides
from models.layers.folding import folded
from models.onnx_export import Images, require_onnx

log = logging.getLogger(__name__)

#: Stages that made a network and its codes.
STAGES = ("distill", "finetune", "fit", "encode")
#: Images that set the ranges of int8, and images to test another runtime with.
CALIBRATION, GOLDEN = 256, 8


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a bundle is made.

    Attributes:
        data_root: where data sets are.
        precision: of the network in the graph.
        sample: images of queries and of database that the proof encodes at most; None = all.
        tolerance: how far the bundle may be from its cell; None = as ``TOLERANCES`` has it.
        threads: that the runtime has.
        replace: whether an older bundle in the folder makes room.
        zipped: whether the folder is also packed into one file beside it.
    """

    data_root: Path
    precision: Precision = "fp32"
    sample: int | None = None
    tolerance: Tolerance | None = None
    threads: int = 1
    replace: bool = False
    zipped: bool = False


@dataclass(frozen=True)
class Exported:
    """A bundle that has proved itself.

    Attributes:
        packed: the same as one file, if that was asked for.
    """

    bundle: Bundle
    agreement: Agreement
    packed: Path | None


def export(cell: FoundCell, folder: Path, options: ExportOptions) -> Exported:
    """Write the bundle of ``cell`` to ``folder``, whole or not at all.

    Raises:
        UsageError: the folder is taken; or weights, data or packages are missing.
        CellError: the bundle's codes are not those of the cell; nothing was written.
    """
    require_onnx("export")
    check_place(folder, options.replace, options.zipped)
    student = student_of(cell, options.data_root)
    precision = student.encode.spec["precision"] if options.precision == "fp32" else options.precision
    tolerance = options.tolerance or TOLERANCES[precision]
    with put_in_place(folder, options.replace) as place:
        log.info("writing the graph")
        _write_model(student, place, options.precision)
        student.save(place)
        bundle = _described(cell, student, place, options.precision)
        encoder = Encoder(bundle, options.threads)
        log.info("encoding the cell's images with it")
        agreement = prove(student, cell.record, encoder, tolerance, options.sample)
        agreement.require()
        _write_golden(student, encoder, place / "golden")
        bundle = replace(bundle, agreement=agreement.to_json())
        (place / card.FILE).write_text(card.text(cell, student, bundle, agreement), encoding="utf-8")
        (place / "requirements.txt").write_text(requirements(), encoding="utf-8")
        bundle = replace(bundle, files=_entries(place))
        _write_json(bundle, place)
    return Exported(replace(bundle, folder=folder), agreement, packed(folder) if options.zipped else None)


def _write_model(student: Student, place: Path, precision: Precision) -> None:
    images = student.dataset.images
    channels, height, width = images.pixels.shape[1:]
    crop = images.augmentation.evaluation_crop
    fit = Fit(height, width, student.fit)
    view = View(height, width, crop, channels == 1, student.preprocessing, student.image_size)
    calibration = _calibration(student) if precision == "int8" else None
    # With normalisation folded, as the codes of the cell were made.
    write_graph(fit, view, folded(student.net), student.bits, place / bundles.MODEL, calibration)


def _calibration(student: Student) -> Iterator[Images]:
    """Inputs of images that step 2 or step 1 was trained on; no query is among them."""
    splits = student.dataset.splits
    places = np.concatenate([splits.train, np.setdiff1d(splits.database, splits.train)])
    yield from student.inputs(places[:CALIBRATION])


def _described(cell: FoundCell, student: Student, place: Path, precision: Precision) -> Bundle:
    """``bundle.json`` without the proof."""
    images, record = student.dataset.images, cell.record
    channels, height, width = images.pixels.shape[1:]
    size = student.image_size
    expects = student.preprocessing
    stages = {name: stage.key for name, stage in record.stages.items() if name in STAGES}
    return Bundle(
        name=record.cell.slug,
        bits=student.bits,
        dimensions=student.bits or int(student.codes["query"].shape[1]),
        precision=precision,
        preprocessing=Preprocessing(
            height=height,
            width=width,
            fit=student.fit,
            grey=channels == 1,
            crop=images.augmentation.evaluation_crop,
            image_size=size if isinstance(size, int) else sides(size),
            interpolation=expects.interpolation,
            mean=expects.mean,
            std=expects.std,
        ),
        classes=tuple(images.names[: images.classes]),
        made_from=Origin(
            record=record.key,
            cell=record.cell.model_dump(mode="json"),
            stages=stages,
            weights=f"sha256:{FileEntry.of(place / STATE).sha256}",
            commit=(record.environment.get("git") or {}).get("commit"),
            version=__version__,
        ),
        agreement={},
        files={bundles.MODEL: FileEntry.of(place / bundles.MODEL)},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        lengths=student.lengths,
        folder=place,
    )


def _write_golden(student: Student, encoder: Encoder, folder: Path) -> None:
    """Queries in the data set's size, the last two in others, and what the bundle makes of each."""
    folder.mkdir()
    places = student.places("query")
    chosen = places[np.unique(np.linspace(0, len(places) - 1, GOLDEN).round().astype(int))]
    pictures = list(_of_one_size(student, chosen))
    pictures[-2:] = [_stretched(picture, number) for number, picture in enumerate(pictures[-2:])]
    encoded = [encoder(picture[None]) for picture in pictures]
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")
    arrays: dict[str, Any] = {"outputs": np.concatenate([one.outputs for one in encoded])}
    if codes := [one.codes for one in encoded if one.codes is not None]:
        arrays["codes"] = np.concatenate(codes)
    np.savez(folder / "codes.npz", **arrays)


def _of_one_size(student: Student, places: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Images as the data set has them: uint8 (height, width, 3)."""
    for image in student.dataset.images.pixels[places].transpose(0, 2, 3, 1):
        yield np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def _stretched(picture: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """In another size and shape, so that a runtime's resizing is tested, too."""
    height, width = picture.shape[:2]
    size = (2 * width + 1, 3 * height // 2 + 1) if number else (3 * width // 2 + 1, 2 * height + 1)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _entries(place: Path) -> dict[str, FileEntry]:
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): FileEntry.of(path) for path in files}


def _write_json(bundle: Bundle, place: Path) -> None:
    text = json.dumps(bundle.to_json(), indent=1, allow_nan=False)
    (place / bundles.FILE).write_text(f"{text}\n", encoding="utf-8")
