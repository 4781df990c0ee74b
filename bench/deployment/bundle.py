"""What ``export`` writes and ``encode`` and ``search`` read: a folder with a model and ``bundle.json``.

::

    model.onnx          uint8 "images" (n, h, w, 3) RGB of any size -> "codes" uint8 (n, bytes), first bit
                        highest, and "outputs" float32 (n, dimensions), whose signs the codes are; a bundle
                        of embeddings (0 bits) has "outputs" of length 1 alone
    model.safetensors   weights for torch, beside architecture.json
    bundle.json         what is below
    requirements.txt    what has to be installed to encode and search
    CARD.md             what it is and how good, for people
    golden/             eight images with their codes and outputs, to test another runtime with

Nothing of a bundle is executed but the graph in ``model.onnx``, and nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.data.fitting import Fit
from bench.deployment import blocks
from bench.errors import UsageError

Precision = Literal["fp32", "int8"]

SCHEMA_VERSION = 1
FILE, MODEL = "bundle.json", "model.onnx"

#: More is no image, code or embedding of this field, but a way to fill the memory.
MOST_PIXELS, MOST_BITS, MOST_DIMENSIONS = 2048, 4096, 65536

_DIGEST = blocks.matching(r"[0-9a-f]{64}", "a sha256 in hex")


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image before the network, in this order; all of it is in the graph.

    Attributes:
        height, width: in pixels, what images of another size are brought to first, as ``fit`` says
            (``bench.data.fitting.fitted``). ``encode`` does this itself.
        fit: ``crop``, ``pad`` or ``squash``.
        grey: whether colours become their luma (ITU-R 601).
        crop: share of the side that is kept, around the centre.
        image_size: what the network sees: the side of a square in pixels, or height and width.
        interpolation: how pixels are brought to that size, with antialias.
        mean, std: of R, G and B, which are normalised by them at the end.
    """

    height: Annotated[int, blocks.whole(1, MOST_PIXELS)]
    width: Annotated[int, blocks.whole(1, MOST_PIXELS)]
    fit: Annotated[Fit, blocks.one_of("crop", "pad", "squash")]
    grey: Annotated[bool, blocks.truth]
    crop: Annotated[float, blocks.real(1e-3, 1)]
    image_size: Annotated[int | tuple[int, int], blocks.side_or_sides(MOST_PIXELS)]
    interpolation: Annotated[str, blocks.text]
    mean: Annotated[tuple[float, float, float], blocks.listed(blocks.real(-1e6, 1e6), 3)]
    std: Annotated[tuple[float, float, float], blocks.listed(blocks.real(1e-6, 1e6), 3)]


@dataclass(frozen=True)
class Origin:
    """What the bundle was made from.

    Attributes:
        record: key of the record.
        cell: the record's ``cell``.
        stages: name of a stage -> its key.
        weights: fingerprint of the network's weights.
        commit: of the code, None outside a checkout.
        version: of hash-pareto.
    """

    record: Annotated[str, _DIGEST]
    cell: Annotated[dict[str, Any], blocks.mapping(blocks.anything)]
    stages: Annotated[dict[str, str], blocks.mapping(blocks.text)]
    weights: Annotated[str, blocks.text]
    commit: Annotated[str | None, blocks.optional(blocks.text)]
    version: Annotated[str, blocks.text]


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle as it was written."""

    sha256: Annotated[str, _DIGEST]
    bytes: Annotated[int, blocks.whole(0, 2**62)]

    @classmethod
    def of(cls, path: Path) -> FileEntry:
        """The entry of the file ``path``."""
        with path.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _files(value: Any, name: str) -> dict[str, FileEntry]:
    entries: dict[str, FileEntry] = blocks.mapping(blocks.block(FileEntry))(value, name)
    plain = blocks.matching(r"\w[\w.-]*(/\w[\w.-]*)*", "names of files in the bundle")
    for file in entries:
        plain(file, name)
    if MODEL not in entries:
        raise blocks.BlockError(f"no key '{MODEL}' in {name}")
    return entries


@dataclass(frozen=True)
class Bundle:
    """``bundle.json``, and where it lies.

    Attributes:
        name: readable name of the cell.
        bits: of a code; 0 where the bundle makes embeddings, compared by cosine.
        dimensions: width of "outputs".
        classes: names of the classes that it was trained on, where there are some.
        agreement: numbers of the proof that the bundle encodes as the cell does.
        files: name -> what it must hold.
        created: date and time of the export.
        lengths: ascending, where the first bits of a code are codes, too; the last one is ``bits``.
        folder: where the files are.
    """

    name: Annotated[str, blocks.text]
    bits: Annotated[int, blocks.whole(0, MOST_BITS)]
    dimensions: Annotated[int, blocks.whole(1, MOST_DIMENSIONS)]
    precision: Annotated[Precision, blocks.one_of("fp32", "int8")]
    preprocessing: Annotated[Preprocessing, blocks.block(Preprocessing)]
    classes: Annotated[tuple[str, ...], blocks.listed(blocks.text)]
    made_from: Annotated[Origin, blocks.block(Origin)]
    agreement: Annotated[dict[str, Any], blocks.mapping(blocks.anything)]
    files: Annotated[dict[str, FileEntry], _files]
    created: Annotated[str, blocks.text]
    lengths: Annotated[tuple[int, ...], blocks.listed(blocks.whole(1, MOST_BITS))] = ()
    folder: Path = field(default=Path(), compare=False)

    @property
    def fingerprint(self) -> str:
        """sha256 of the model: codes of bundles with the same one can be compared."""
        return self.files[MODEL].sha256

    @property
    def code_bytes(self) -> int:
        """Bytes of a code, 0 for embeddings."""
        return -(-self.bits // 8)

    def to_json(self) -> dict[str, Any]:
        """What ``bundle.json`` holds."""
        return {"schema_version": SCHEMA_VERSION, **blocks.to_json(self)}

    @classmethod
    def read(cls, folder: Path) -> Bundle:
        """The bundle in ``folder``, its files compared with their checksums.

        Of the files that ``bundle.json`` names, all but the model may be left out, to take less away.

        Raises:
            UsageError: no bundle, damaged, or of a newer version.
        """
        path = folder / FILE
        try:
            bundle = cls._parsed(path, folder)
        except blocks.BlockError as fault:
            raise UsageError(f"{path}: {fault}; copy the bundle again, or export it again") from fault
        for name, entry in bundle.files.items():
            if name == MODEL or (folder / name).exists():
                _compare(folder / name, entry)
        return bundle

    @classmethod
    def _parsed(cls, path: Path, folder: Path) -> Bundle:
        try:
            data = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(_no_bundle(folder)) from error
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else error
            raise blocks.BlockError(f"not JSON ({reason})") from error
        version = data.pop("schema_version", None) if isinstance(data, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise UsageError(f"{path}: schema version {blocks.shown(version)} is newer than this program; "
                             "update hash-pareto")  # fmt: skip
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise blocks.BlockError(f"schema_version must be {SCHEMA_VERSION}, not {blocks.shown(version)}")
        bundle = blocks.read(cls, data)
        if bundle.bits not in {0, bundle.dimensions}:
            raise blocks.BlockError(
                f"dimensions must be {bundle.bits}, as many as bits, not {bundle.dimensions}"
            )
        if bundle.lengths and (*sorted({*bundle.lengths}),) != (*bundle.lengths[:-1], bundle.bits):
            raise blocks.BlockError(f"lengths must ascend to {bundle.bits}, the bits of a code")
        return dataclasses.replace(bundle, folder=folder)

    def length(self, bits: int | None) -> int:
        """How long codes of ``bits``, None for all of them, are.

        Raises:
            UsageError: it has none of that length.
        """
        if bits is None or bits == self.bits or bits in self.lengths:
            return self.bits if bits is None else bits
        if not self.bits:
            raise UsageError(f"{self.folder}: makes embeddings, which have no --bits; leave it out")
        shorter = ", ".join(map(str, self.lengths[:-1]))
        others = f", of which the first {shorter} are codes, too" if shorter else " alone"
        raise UsageError(f"{self.folder}: makes codes of {self.bits} bits{others}, not of {bits}")

    def model(self) -> bytes:
        """The graph, compared with its checksum.

        Raises:
            UsageError: it is missing, or another.
        """
        path = self.folder / MODEL
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise UsageError(_not_whole(path, "it is missing")) from error
        if hashlib.sha256(data).hexdigest() != self.fingerprint:
            raise UsageError(_not_whole(path, "its checksum differs"))
        return data


def _no_bundle(folder: Path) -> str:
    if (folder / MODEL).exists():
        return f"{folder / FILE}: it is missing; copy the whole bundle again"
    if folder.name == MODEL:
        return f"{folder}: the model of a bundle; give the folder that it lies in"
    packed = " (unpack it first)" if folder.suffix == ".zip" else ""
    return f"{folder}: no bundle{packed}; make one with: python -m bench export CELL DIR"


def _compare(path: Path, entry: FileEntry) -> None:
    try:
        found = FileEntry.of(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(_not_whole(path, "it is missing")) from error
    if found != entry:
        size = f"it has {found.bytes:,} bytes, not {entry.bytes:,}"
        raise UsageError(_not_whole(path, size if found.bytes != entry.bytes else "its checksum differs"))


def _not_whole(path: Path, reason: str) -> str:
    return f"{path}: not the file that was exported ({reason}); copy the bundle again"
