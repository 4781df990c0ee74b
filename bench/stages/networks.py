"""Networks as the artifacts of earlier stages left them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import UsageError, WeightsError
from bench.planning.stage import EARLIER, TRUNK, TUNE, Stage
from bench.stages.context import Context
from bench.training.loop import seeded
from bench.types import Preprocessing
from bench.types.sizes import ImageSize, area, scaled
from models.layers.heads import classes_in, deployed_network, shortened
from models.layers.several_views import SeveralViews
from models.pruning.reshape import reshape
from models.weights import restore, stored_tensors

#: Files of a distill artifact: state dict of the student, its architecture, and what else was kept.
STUDENT, ARCHITECTURE, EXTRA = "student.safetensors", "architecture.json", "extra.safetensors"
#: File of a finetune or fit artifact, beside the student's architecture: the state dict of trunk and head.
NETWORK = "network.safetensors"


def save(net: nn.Module, path: Path) -> None:
    """Write a state dict, each tensor once."""
    write(stored_tensors(net), path)


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors on any device, which may share memory.

    Raises:
        WeightsError: one of them is sparse.
    """
    if sparse := [name for name, tensor in tensors.items() if tensor.layout != torch.strided]:
        raise WeightsError(
            f"{sparse[0]} is a sparse tensor, which no weight file holds; make it dense, or register it with "
            "persistent=False"
        )
    save_file(
        {
            # Conjugated and negated tensors are flags on the memory of another, which would be written.
            name: tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        },
        path,
    )


def save_architecture(architecture: Mapping[str, Any], folder: Path) -> None:
    """Write what ``models.pruning.reshape`` makes an architecture from."""
    (folder / ARCHITECTURE).write_text(json.dumps(architecture))


def taken_up(stage: Stage) -> Stage | None:
    """The stage whose network ``stage`` takes up; None where nothing was trained before."""
    others = {TRUNK, TUNE, EARLIER}
    return next((needed for role, needed in stage.inputs.items() if role not in others), None)


def code_length(stage: Stage) -> int:
    """Bits of the codes that a stage makes or reads; 0 without a hash head: they are embeddings.

    Of a network with several lengths it is the longest, unless the stage reads the first bits alone.
    """
    return int(stage.spec.get("first_bits", stage.settled("loss").get("bits", 0)))


def student_of(stage: Stage) -> Mapping[str, Any]:
    """The block of the student that a stage trains or asks."""
    block: Mapping[str, Any] = stage.settled("student")["student"]
    return block


def architecture(trained: Stage | None, context: Context) -> dict[str, Any]:
    """The architecture that a step left; empty, as built, where there was none."""
    found: dict[str, Any] = {}
    return found if trained is None else json.loads((_folder(trained, context) / ARCHITECTURE).read_text())


def untrained(
    network: Any, image_size: ImageSize, trained: Stage | None, context: Context
) -> tuple[nn.Module, int]:
    """A student with the architecture that a step left, and the width of its feature; weights as built.

    Args:
        network: the plug-in of the student.
        trained: its step 1 or 2, if there was one.
    """
    return reshape(network.build(), network.feature_dim(image_size), architecture(trained, context))


def unpruned(
    network: Any, image_size: ImageSize, distill: Stage, context: Context
) -> tuple[nn.Module, int] | None:
    """The same as ``untrained`` with all its channels; None where step 1 pruned nothing."""
    whole = architecture(distill, context)
    if whole.pop("channels", None) is None:
        return None
    return reshape(network.build(), network.feature_dim(image_size), whole)


def distilled(
    network: Any, image_size: ImageSize, distill: Stage | None, context: Context
) -> tuple[nn.Module, int]:
    """The student after step 1, or as built if there was none, and the width of its feature."""
    trunk, width = untrained(network, image_size, distill, context)
    if distill is not None:
        restore(trunk, context.tensors(distill, STUDENT))
    return trunk, width


def kept(distill: Stage, context: Context) -> dict[str, Tensor]:
    """What step 1 kept beside the student."""
    path = _folder(distill, context) / EXTRA
    return load_file(path) if path.is_file() else {}


def deployed(
    encode: Stage, context: Context, first_bits: int | None = None
) -> tuple[nn.Module, Preprocessing]:
    """The network whose outputs an encode stage keeps, in eval mode, and what it expects of its input.

    It is trunk and hash head, or the trunk alone where there is none.

    Args:
        first_bits: of a network with several code lengths, the one that its head is to have.
    """
    student, size, trained = context.student(student_of(encode)), encode.spec["image_size"], taken_up(encode)
    bits = code_length(encode)
    net: nn.Module
    if trained and bits:
        tensors = context.tensors(trained, NETWORK)
        net = deployed_network(*untrained(student, size, trained, context), bits, classes_in(tensors))
        restore(net, tensors)
        net = shortened(net, first_bits) if first_bits else net
    else:
        # Only weights that nothing has trained or published depend on the seed; step 2 leaves no such.
        with seeded(encode.spec.get("seed", 0), context.device):
            net, _ = distilled(student, size, trained, context)
    return context.place(seeing(net, encode.spec)).eval(), student.preprocessing


def sizes(spec: Mapping[str, Any]) -> list[ImageSize]:
    """Sizes at which a network sees an image whose code it makes, as the spec of a stage says."""
    return [scaled(spec["image_size"], scale) for scale in spec.get("encode", {}).get("scales", (1.0,))]


def largest(spec: Mapping[str, Any]) -> ImageSize:
    """The size of the view with the most pixels."""
    return max(sizes(spec), key=area)


def seeing(net: nn.Module, spec: Mapping[str, Any]) -> nn.Module:
    """``net`` as it looks at images: itself, or one that puts several views together."""
    encode = spec.get("encode")
    return SeveralViews(net, sizes(spec), flip=encode["flip"]) if encode else net


def check_views(encode: Stage, context: Context) -> None:
    """Refuse views of which the student would say something else of every size.

    Raises:
        UsageError: its feature has another width at one of the sizes, or one has no pixels.
    """
    block, spec = student_of(encode), encode.spec
    network, own = context.student(block), spec["image_size"]
    for size in sizes(spec):
        if not area(size):
            raise UsageError(f"encode.scales: nothing is left of {own} px at a scale; raise the smallest")
        if (width := network.feature_dim(size)) != (wanted := network.feature_dim(own)):
            raise UsageError(
                f"student {block['name']} gives {wanted:,} numbers at {own} px and {width:,} at {size} px, "
                "which cannot be added; drop encode.scales, or take one that pools its last map"
            )


def _folder(stage: Stage, context: Context) -> Path:
    return context.store.path(*stage.place)
