"""What forbids a tensor of a file to become a weight. Told at once, it is no training that fails later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: No trained network comes near; outputs of one that does are not finite.
LARGEST = 1e15
#: Only cumulative averages use this counter; converters leave it out, or store it as any number.
COUNTER = ".num_batches_tracked"
#: Of what ``unused`` finds.
UNUSED = (
    "; if features go through it, choose a network that has it (for ResNets of torchvision, projection is "
    "its width), otherwise take it out of the file"
)
_VARIANCE = "running_var"


def fault(name: str, given: Tensor, expected: Tensor) -> str:
    """What is wrong with ``given``, and the cure; empty where it can take the place of ``expected``.

    Args:
        name: of the tensor.
        given: of the same shape as ``expected``, stored in any way.
        expected: the network's own.
    """
    found = _form(given, expected) or ("" if name.endswith(COUNTER) else _kind(given, expected))
    return f"{name} {found}" if found else _values(name, given, expected)


def unused(given: Mapping[str, Tensor], classifier: Mapping[str, Sequence[int]]) -> list[str]:
    """What is wrong with tensors of a file that the network does not use.

    Only the classifier that the network was published with may be left out without a word. A square matrix
    behind all others is none: networks for retrieval end in one that their features go through.

    Args:
        given: by name, in any order.
        classifier: name -> shape of the network's own classifier, in its order.
    """
    last = [name for name, shape in classifier.items() if len(shape) == 2][-1:]
    square = [name for name in last if name in given and len(set(given[name].shape)) == 1]
    return [
        f"{name} of shape {tuple(given[name].shape)} would not be used, and is not of the classifier of its "
        f"pretraining{'' if name in square else f', {tuple(shape)}'}"
        for name, shape in classifier.items()
        if name in given and (name in square or tuple(given[name].shape) != tuple(shape))
    ]


def _form(given: Tensor, expected: Tensor) -> str:
    if given.is_meta:
        return "has a shape and no values (device meta); save a network whose weights were loaded"
    if given.is_quantized:
        return f"is quantised ({_short(given.dtype)}); save the float network that it was made of"
    if given.is_nested:
        return "is a nested tensor; save it as a plain one"
    if given.layout != expected.layout:
        return f"is stored as {_short(given.layout)}; save it dense, with .to_dense()"
    return ""


def _kind(given: Tensor, expected: Tensor) -> str:
    """Numbers of another kind would be rounded, or lose their imaginary part."""
    if given.is_complex() and not expected.is_complex():
        return f"is complex ({_short(given.dtype)}), and the network's is {_short(expected.dtype)}"
    fractions = given.is_floating_point() or given.is_complex()
    if fractions != (expected.is_floating_point() or expected.is_complex()):
        return (
            f"is {_short(given.dtype)}, and the network's is {_short(expected.dtype)}; save the network as "
            "it was trained, not packed or quantised"
        )
    return ""


def _values(name: str, given: Tensor, expected: Tensor) -> str:
    if not (expected.is_floating_point() or expected.is_complex()) or not given.numel():
        return ""
    values = given.detach().to_dense().to(expected.dtype)  # as they will be in the network
    # Some networks hold infinite values where nothing is to be seen; those may come again.
    bad = ~values.isfinite() & expected.detach().to_dense().isfinite()
    if many := int(bad.sum()):
        where = f"{many:,} of its {values.numel():,} values are NaN or infinite in {_short(values.dtype)}"
        return f"{name}: {where}; take weights from before its training diverged"
    largest = float(values.abs().nan_to_num(0, 0, 0).max())
    if largest > LARGEST:
        return f"{name} holds {largest:.3g}, with which no output is finite; take weights of a sound network"
    if name.rpartition(".")[2] == _VARIANCE and float(values.min()) < 0:
        return f"{name} holds {float(values.min()):.3g}, and no variance is negative; copy the file again"
    return ""


def _short(what: object) -> str:
    return str(what).removeprefix("torch.")
