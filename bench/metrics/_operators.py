"""Every operator of one forward pass: the multiply-adds of those that multiply, and those nobody knows.

Counters that look for what they know miss what they do not know, and two of them can miss the same. Here
every operator has to be accounted for: it is a convolution or a matrix product with a formula for its
multiply-adds; or it has none by its nature (elementwise, reduction, copy, view, pooling, normalisation,
resampling, as torch's own tags and the list below say); or it is named as uncounted.

The pass runs on the meta device: shapes without values, in no time and on no backend, so that no library
puts a recurrent layer or an attention into one operator of its own. Networks that look at values run on the
CPU with such libraries switched off.

Two traces of work that is done elsewhere are looked for: a tensor that is handed to numpy, and a matrix of
weights that no operator used although its module ran, as where a network computes in threads of its own. What
no one can see: products of elementwise products and sums, whose sums are as good as any; work outside torch,
or in other threads, that uses no weights of the network.
"""

from __future__ import annotations

import copy
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

#: Operators of torch that multiply no matrices and that no tag says so of, by what they do.
_HARMLESS = {
    "elementwise": "glu|hardswish|isin|leaky_relu|linalg_cross|log_sigmoid_forward|_?prelu(_kernel)?"
    "|rrelu_with_noise",
    "reduction": "bincount|col2im|cum(max|min|prod|sum)|histc|index_add"
    "|index_reduce|kthvalue|logcumsumexp|(nan)?median|mode|scatter_(add|reduce)",
    "order": "argsort|bucketize|searchsorted|sort|topk|_?unique\\w*",
    "creation": "arange|bernoulli|empty\\w*|eye|fill|full(_like)?|linspace|logspace|native_dropout"
    "|new_(empty\\w*|full|ones|zeros)|normal|ones(_like)?|rand(int|n|perm)?(_like)?|scalar_tensor"
    "|tri[lu](_indices)?|uniform|zeros?(_like)?",
    "copy": "_local_scalar_dense|_reshape_copy|_to_copy|_unsafe_(index|masked_index|view)|\\w+_scatter|cat"
    "|constant_pad_nd|copy|embedding|flip|gather|im2col|index(_copy|_fill|_put|_select)?|lift_fresh\\w*"
    "|masked_select|(native_)?channel_shuffle|nonzero\\w*|pixel_(un)?shuffle|reflection_pad\\dd"
    "|repeat(_interleave)?|replication_pad\\dd|resize(_as)?|roll|rot90|scatter|stack|take|_?to_(dense|sparse\\w*)"
    "|unsafe_(chunk|split)\\w*",
    "pooling": "_?adaptive_\\w+_pool\\dd|(avg|fractional_max|max)_pool\\dd(_with_indices)?|max_unpool\\dd",
    "normalisation": "(_native|cudnn|miopen|native)_(batch|group|layer)_norm\\w*|_batch_norm\\w*"
    "|batch_norm\\w*|_fused_rms_norm|_?(log_|safe_)?softmax|_weight_norm_interface|renorm",
    "resampling": "_?upsample_\\w+|grid_sampler_\\dd|_grid_sampler_2d_cpu_fallback",
    "check": "_assert\\w*|equal|is_same_size|sym_\\w+",
}
#: Ways of a tensor to numpy.
_OUT_OF_TORCH = (Tensor.numpy, Tensor.__array__)
_HARMLESS_NAMES = re.compile("|".join(f"(?:{names})" for names in _HARMLESS.values()))


@dataclass(frozen=True)
class Count:
    """What one forward pass computes.

    Attributes:
        products: multiply-adds by operator; convolutions are ``convolution``, all others matrix products.
        unknown: calls by name of operators that may multiply matrices and that have no formula.
        unused: matrices of weights that no operator used although their module ran, by name.
    """

    products: dict[str, int]
    unknown: dict[str, int]
    unused: tuple[str, ...] = ()

    @property
    def convolutions(self) -> int:
        """Multiply-adds of convolutions."""
        return sum(count for name, count in self.products.items() if "conv" in name)

    @property
    def matrix_products(self) -> int:
        """Multiply-adds of everything else."""
        return sum(self.products.values()) - self.convolutions


def count(net: nn.Module, images: Tensor) -> Count:
    """Account for every operator of ``net(images)``; ``net``, on the CPU, stays as it is.

    Raises:
        Exception: whatever the network raises on the CPU.
    """
    try:
        with torch.no_grad():  # copies of a scripted network's weights would be results of an operation
            shapes = copy.deepcopy(net).to("meta")
        return _count(shapes, images.to("meta"))
    except Exception:  # it looks at values, or at tensors that are not its own
        fused = torch.backends.mkldnn.set_flags(False)  # type: ignore[no-untyped-call]
        try:
            return _count(net, images)
        finally:
            torch.backends.mkldnn.set_flags(fused[0])  # type: ignore[no-untyped-call]


@contextmanager
def explicit_attention() -> Iterator[None]:
    """Fused attention hides its matrix products; take the plain path while counting."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _count(net: nn.Module, images: Tensor) -> Count:
    watch = _Watch(net)
    ran: set[nn.Module] = set()
    # Of all modules: hooks on a scripted one are not taken back.
    hook = nn.modules.module.register_module_forward_pre_hook(lambda module, _: ran.add(module))
    try:
        with explicit_attention(), torch.no_grad(), _Leaving(watch.unknown), watch:
            net(images)
    finally:
        hook.remove()
    owners = {name for name, module in net.named_modules() if module in ran}
    unused = (name for names in watch.unused.values() for name in names)
    return Count(
        dict(watch.products),
        dict(watch.unknown),
        tuple(name for name in unused if name.rpartition(".")[0] in owners),
    )


class _Leaving(TorchFunctionMode):
    """Counts the tensors that are handed to numpy, of which no operator tells."""

    def __init__(self, unknown: Counter[str]) -> None:
        super().__init__()
        self.unknown = unknown

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _OUT_OF_TORCH:
            self.unknown["Tensor.numpy"] += 1
        return func(*args, **(kwargs or {}))


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator that reaches a backend."""

    supports_higher_order_operators = True

    def __init__(self, net: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        #: names of the matrices among the weights that no operator has used yet, by their memory
        self.unused: dict[int, list[str]] = {}
        for name, weight in net.named_parameters():
            if weight.layout == torch.strided and sum(size > 1 for size in weight.shape) > 1:
                self.unused.setdefault(_memory(weight), []).append(name)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if not _is_view(func):  # a view's result is the same memory, and may go anywhere
            for leaf in tree_leaves((args, given)):
                if isinstance(leaf, Tensor) and leaf.layout == torch.strided:
                    self.unused.pop(_memory(leaf), None)
        formula = _formula(func)
        if formula is None and not _harmless(func) and isinstance(func, torch._ops.OpOverload):
            with self:
                out = func.decompose(*args, **given)
            if out is not NotImplemented:
                return out
        out = func(*args, **given)
        if formula is not None and _dense((args, given)):
            if made := formula(*args, **given, out_val=out):
                self.products[_name(func)] += made
        elif formula is not None or not _harmless(func):
            self.unknown[_name(func)] += 1
        return out


def _name(func: Any) -> str:
    """``addmm`` of torch's own operators, ``library.operator`` of others."""
    return str(getattr(func, "_overloadpacket", func)).removeprefix("aten.")


def _memory(tensor: Tensor) -> int:
    """What a tensor and its views have in common, on the meta device as well."""
    return int(tensor.untyped_storage()._cdata)


def _dense(given: Any) -> bool:
    """Formulas go by shapes, which say nothing of a sparse tensor."""
    return all(leaf.layout == torch.strided for leaf in tree_leaves(given) if isinstance(leaf, Tensor))


@functools.cache
def _is_view(func: Any) -> bool:
    returns = func._schema.returns if isinstance(func, torch._ops.OpOverload) else ()
    return any(result.alias_info and not result.alias_info.is_write for result in returns)


@functools.cache
def _harmless(func: Any) -> bool:
    """Whether an operator multiplies no matrices by its nature."""
    if not isinstance(func, torch._ops.OpOverload):
        return False
    if {torch.Tag.pointwise, torch.Tag.reduction, torch.Tag.inplace_view} & {*func.tags, *_twin(func).tags}:
        return True
    if func.namespace not in {"aten", "prim"}:
        return False
    name = func._schema.name.partition("::")[2]
    plain = name if name.startswith("__") else name.removesuffix("_")
    return _is_view(func) or func.namespace != "aten" or bool(_HARMLESS_NAMES.fullmatch(plain))


def _twin(func: Any) -> Any:
    """What an operator in place is the in-place form of: torch tags some by that alone."""
    library, _, name = func._schema.name.partition("::")
    packet = getattr(getattr(torch.ops, library), name.removesuffix("_"), None)
    return getattr(packet, func._overloadname, func)


# -- Formulas ------------------------------------------------------------------------------------


def _formula(func: Any) -> Callable[..., int] | None:
    """Multiply-adds from the arguments and the result (``out_val``); None where there is no formula."""
    packet = getattr(func, "_overloadpacket", func)
    if own := _OWN.get(packet):
        return own
    operations = flop_registry.get(packet)
    # Torch counts multiplications and additions.
    return operations and (lambda *args, **kwargs: int(operations(*args, **kwargs)) // 2)


def _matrix_vector(*args: Any, **_: Any) -> int:
    """``mv(matrix, vector)`` and ``addmv(sum, matrix, vector)``."""
    return int(args[-2].numel())


def _vector_vector(vector: Tensor, *_: Any, **__: Any) -> int:
    """``dot(vector, vector)``."""
    return vector.numel()


def _summed_products(total: Tensor, first: Tensor, second: Tensor, **_: Any) -> int:
    """``addbmm(sum, (b, n, m), (b, m, p))``."""
    return first.numel() * second.shape[-1]


def _bilinear(first: Tensor, weight: Tensor, second: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    """``nn.Bilinear``, (b, n), (o, n, m), (b, m) -> (b, o): times ``first``, then times ``second``."""
    return out_val.numel() * (weight[0].numel() + second.shape[-1])


def _weighted_rows(
    table: Tensor, indices: Tensor, *args: Any, per_sample_weights: Any = None, **_: Any
) -> int:
    """``nn.EmbeddingBag``: rows of (n, width) are summed, or multiplied with a number each before."""
    weights = args[4] if len(args) > 4 else per_sample_weights
    return 0 if weights is None else indices.numel() * table.shape[1]


_OWN: dict[Any, Callable[..., int]] = {
    torch.ops.aten.mv: _matrix_vector,
    torch.ops.aten.addmv: _matrix_vector,
    torch.ops.aten.dot: _vector_vector,
    torch.ops.aten.vdot: _vector_vector,
    torch.ops.aten.addbmm: _summed_products,
    torch.ops.aten._trilinear: _bilinear,
    torch.ops.aten._embedding_bag: _weighted_rows,
    torch.ops.aten._embedding_bag_forward_only: _weighted_rows,
}
