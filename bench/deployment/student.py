"""The student of a cell with all that made its codes, as its artifacts and the suite have it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from bench.data.fitting import Fit as FitRule
from bench.data.image_files import ImageFiles
from bench.data.loading import LoadedDataset
from bench.deployment.cells import FoundCell
from bench.deployment.encode import BATCH
from bench.deployment.weights import stage_of
from bench.errors import DataError, UsageError
from bench.hamming import first_bits
from bench.interfaces import Network
from bench.planning.stage import Stage
from bench.registry import STUDENTS
from bench.stages import compressing, networks
from bench.stages.context import Context
from bench.stages.encode import CODES
from bench.training import views
from bench.types import Preprocessing
from bench.types.sizes import ImageSize
from models.layers.heads import classes_in, deployed_network
from models.pruning.reshape import reshape
from models.weights import restore

#: What a bundle has for torch: the state dict, and how to make the network that it fits.
STATE, ARCHITECTURE = "model.safetensors", "architecture.json"


@dataclass(frozen=True)
class Student:
    """A trained network and what it was trained and judged on.

    Attributes:
        encode: the stage that made its codes.
        context: where its artifacts and data are.
        net: trunk and hash head in eval mode on the CPU, or the trunk alone where there was no step 2.
        preprocessing: what it expects of its input.
        dataset: images and splits.
        codes: what the suite's evaluation judged, of ``query`` and ``database``: packed uint8 (n, bytes), or
            float32 (n, d) of length 1.
        bits: of a code; 0 for embeddings.
        lengths: ascending to ``bits``, where the first bits of a code are codes, too; else empty.
    """

    encode: Stage
    context: Context
    net: nn.Module
    preprocessing: Preprocessing
    dataset: LoadedDataset
    codes: dict[str, NDArray[Any]]
    bits: int
    lengths: tuple[int, ...]

    @property
    def image_size(self) -> ImageSize:
        """Of the network's input."""
        return cast(ImageSize, self.encode.spec["image_size"])

    @property
    def fit(self) -> FitRule:
        """How images of another size are brought to that of the data set."""
        pixels = self.dataset.images.pixels
        return pixels.fit if isinstance(pixels, ImageFiles) else "crop"

    def places(self, part: str) -> NDArray[np.int64]:
        """Indices of ``query`` or ``database`` into the data set, in the order of the codes."""
        found: NDArray[np.int64] = getattr(self.dataset.splits, part)
        return found

    def originals(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """Images as they are without the suite: uint8 (m, h, w, 3), as many as ``encode`` computes together.

        The suite computes others together, and codes must not depend on it. Those of files come one by one.
        """
        pixels = self.dataset.images.pixels
        if isinstance(pixels, ImageFiles):
            for index in indices.tolist():
                yield pixels.original(index)[None]
            return
        for start in range(0, len(indices), BATCH):
            batch = pixels[indices[start : start + BATCH]].transpose(0, 2, 3, 1)
            yield np.ascontiguousarray(np.broadcast_to(batch, (*batch.shape[:3], 3)))

    def inputs(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """What the network sees of images in the suite: float32 (m, 3, s, s)."""
        images, source = self.dataset.images, self.context.source(self.dataset.images)
        crops = views.centre_crops(images)
        for batch in views.batches(source, indices, crops, self.preprocessing, self.image_size):
            yield batch.contiguous().numpy()

    def save(self, folder: Path) -> None:
        """Write what ``load`` reads."""
        networks.save(self.net, folder / STATE)
        trained = networks.taken_up(self.encode)
        block = networks.student_of(self.encode)
        architecture = {
            "student": {name: block[name] for name in ("name", "version", "params")},
            "image_size": self.image_size,
            "bits": self.bits,
            "architecture": networks.architecture(trained, self.context),
            "encode": self.encode.spec.get("encode"),
        }
        (folder / ARCHITECTURE).write_text(json.dumps(architecture, indent=1) + "\n", encoding="utf-8")
        # As readable as any other file: libraries keep tensors from everybody else.
        (folder / STATE).chmod((folder / ARCHITECTURE).stat().st_mode)


def student_of(cell: FoundCell, data_root: Path) -> Student:
    """Restore the network of a cell and load its data.

    Raises:
        UsageError: artifacts, data, weights or a plug-in are missing, or not those that the cell was made
            with; says which, and how to get them.
    """
    store, encode = stage_of(cell)
    _check_cell(cell, encode)
    block = networks.student_of(encode)
    plugin = STUDENTS.get(block["name"])
    if plugin.version != block["version"]:
        raise UsageError(
            f"{cell.path}: made with version {block['version']} of student {block['name']}, and this is "
            f"version {plugin.version}; run the cell again, or export it with the hash-pareto that made it"
        )
    # A trained network can start from none: its own weights replace whatever it started from.
    trained = networks.taken_up(encode) is not None
    bare = _chooses_weights(plugin) and (trained or block["weights"] == "none")
    weights = {(block["name"], block["weights"]): "none"} if bare else {}
    context = Context(store, data_root, torch.device("cpu"), weights, "")
    if not trained and (own := context.student(block).weights_id()) != block["weights"]:
        raise UsageError(
            f"{cell.path}: nothing has trained {block['name']}, and its weights here are {own}, not "
            f"{block['weights']}; install those"
        )
    spec = encode.spec["dataset"]
    dataset = context.dataset_here(spec)
    if dataset.manifest_hash != spec["manifest"]:
        raise DataError(
            f"{cell.path}: made with other images or splits of {spec['name']} than those below {data_root} "
            "now; give the right --data-root, or run the cell again"
        )
    bits, nested = cell.record.cell.bits, _lengths(encode)
    net, preprocessing = networks.deployed(encode, context, bits if nested else None)
    codes = {part: values.numpy() for part, values in context.tensors(encode, CODES).items()}
    if nested:
        codes = {part: first_bits(values, bits) for part, values in codes.items()}
    lengths = tuple(length for length in nested if length <= bits)
    return Student(
        encode, context, net, preprocessing, dataset, codes, bits, lengths if len(lengths) > 1 else ()
    )


def _lengths(encode: Stage) -> list[int]:
    """Of the codes of a network that has several; the first bits of its codes are codes, too."""
    found: list[int] = encode.settled("loss").get("nested", [])
    return found


def _check_cell(cell: FoundCell, encode: Stage) -> None:
    """Refuse codes that no network makes, and a record that says of itself what is not so of its codes."""
    if compressing.stored_bits(encode):
        loss, student = cell.record.cell.loss, networks.student_of(encode)["name"]
        raise UsageError(
            f"{cell.path}: {loss} compresses features with a codebook, which bundles do not have; export "
            f"the cell of {student} with loss none, and compress its embeddings with FAISS"
        )
    made = {
        "dataset": encode.spec["dataset"]["name"],
        "student": networks.student_of(encode)["name"],
        "bits": said if (said := cell.record.cell.bits) in _lengths(encode) else networks.code_length(encode),
        "image_size": encode.spec["image_size"],
    }
    for name, value in made.items():
        if (said := getattr(cell.record.cell, name)) != value:
            raise UsageError(
                f"{cell.path}: says that {name} is {said}, and its codes were made with {value}; run the cell"
                " again, or copy the record again from where it was run"
            )


def load(bundle: str | Path) -> nn.Module:
    """The network of a bundle in torch, in eval mode: float (n, 3, h, w), normalised -> float (n, d).

    Args:
        bundle: its folder.
    """
    bundle = Path(bundle)
    made = json.loads((bundle / ARCHITECTURE).read_text(encoding="utf-8"))
    block, size = made["student"], made["image_size"]
    plugin = STUDENTS.get(block["name"])
    bare = {"weights": "none"} if _chooses_weights(plugin) else {}
    network = plugin(plugin.Params.of({**block["params"], **bare}))
    trunk, width = reshape(network.build(), network.feature_dim(size), made["architecture"])
    tensors = load_file(bundle / STATE)
    net = deployed_network(trunk, width, made["bits"], classes_in(tensors)) if made["bits"] else trunk
    net = networks.seeing(net, made)
    restore(net, tensors)
    return net.eval()


def _chooses_weights(plugin: type[Network]) -> bool:
    """Whether a network can be had without the weights that it usually starts from."""
    return "weights" in plugin.Params.model_fields
