"""Out of memory: pieces of a batch give the gradient of the whole, or the cell fails with advice."""

from __future__ import annotations

import contextlib

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from bench.errors import CellError
from bench.stages.embedding import embed
from bench.training.micro_batches import Batch, Forward, Passes

IMAGES = 12


class Scarce(nn.Module):
    """A network for which memory ends at ``room`` images; counts what it is shown."""

    def __init__(self, room: int, error: Exception | None = None, *layers: nn.Module) -> None:
        super().__init__()
        self.room, self.error = room, error or torch.OutOfMemoryError("CUDA out of memory")
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), *layers, nn.Linear(16, 5)).double()
        self.shown: list[int] = []

    def forward(self, inputs):
        self.shown.append(len(inputs))
        if len(inputs) > self.room:
            raise self.error
        return self.net(inputs)


class Unflat(nn.Module):
    def forward(self, inputs):
        return inputs[:, :, None, None]


def pairs(outputs):
    """A loss in which every image meets every other."""
    distances = torch.cdist(outputs, outputs).square()
    return {"pairs": distances.mean(), "norm": F.normalize(outputs, dim=1).sum().square()}


def gradients(net, *, passes=None, terms=pairs):
    torch.manual_seed(0)
    inputs = torch.randn(IMAGES, 3, 4, 4, dtype=torch.float64)
    passes = passes or Passes(net, contextlib.nullcontext)
    found = passes(Batch(inputs, terms), net.zero_grad)
    return found, [parameter.grad.clone() for parameter in net.parameters()], passes


def twins(room, *layers, error=None):
    torch.manual_seed(1)
    whole = Scarce(IMAGES, None, *layers)
    scarce = Scarce(room, error, *layers)
    scarce.load_state_dict(whole.state_dict())
    return whole, scarce


@pytest.mark.parametrize("room", [1, 5, 6, 11])
def test_pieces_give_the_gradient_of_the_whole_batch(room, monkeypatch, caplog):
    # Passes make float32 of outputs, as for losses in training; keep float64 to see equality.
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    whole, scarce = twins(room)
    terms, expected, _ = gradients(whole)
    found, pieces, passes = gradients(scarce)
    assert passes.piece <= room
    assert f"go in pieces of {passes.piece}" in caplog.text
    for name in terms:
        torch.testing.assert_close(found[name], terms[name])
        assert not found[name].requires_grad
    for one, other in zip(expected, pieces, strict=True):
        torch.testing.assert_close(other, one)


def test_later_batches_start_in_pieces():
    _, scarce = twins(6)
    _, _, passes = gradients(scarce)
    scarce.shown.clear()
    gradients(scarce, passes=passes)
    assert scarce.shown == [6, 6, 6, 6]


def test_dropout_drops_the_same_in_both_passes(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    seen = []
    layer = nn.Dropout(0.5)
    layer.register_forward_hook(lambda *call: seen.append(call[-1].detach().clone()))
    _, scarce = twins(6, layer)
    gradients(scarce)
    first, second = torch.cat(seen[:2]), torch.cat(seen[2:])
    torch.testing.assert_close(first, second)
    assert (first == 0).any()


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")],
    ids=["python", "torch on a CPU"],
)
def test_the_memory_of_the_machine_counts_too(error):
    _, scarce = twins(3, error=error)
    assert gradients(scarce)[2].piece == 3


def test_other_errors_are_not_mended():
    _, scarce = twins(3, error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        gradients(scarce)
    assert scarce.shown == [IMAGES]


def test_batch_statistics_would_change_and_so_the_cell_fails_with_advice():
    _, scarce = twins(3, nn.BatchNorm1d(16))
    with pytest.raises(
        CellError, match=r"12 images of 4 pixels, and pieces .* BatchNorm1d mixes .*lower batch_size"
    ):
        gradients(scarce)
    scarce.eval()  # frozen statistics are no obstacle
    assert gradients(scarce)[2].piece == 3


def test_other_normalisations_over_the_batch_are_known_too():
    _, scarce = twins(3, Unflat(), timm.layers.EvoNorm2dB0(16), nn.Flatten())
    with pytest.raises(CellError, match="EvoNorm2dB0 mixes"):
        gradients(scarce)


def test_not_even_one_image_fits():
    _, scarce = twins(0)
    with pytest.raises(CellError, match="not even one image fits; lower batch_size or image_size"):
        gradients(scarce)


def test_features_are_no_images_and_have_no_size_to_lower():
    _, scarce = twins(0)
    batch = Batch(torch.zeros(IMAGES, 48, dtype=torch.float64), pairs)
    words = "12 features of 48 numbers, and not even one image fits; lower batch_size$"
    with pytest.raises(CellError, match=words):
        Passes(scarce, contextlib.nullcontext)(batch, scarce.zero_grad)


def test_a_loss_that_does_not_fit_is_told_apart():
    def greedy(outputs):
        raise torch.OutOfMemoryError

    with pytest.raises(CellError, match="the loss, which must see all of it, does not fit"):
        gradients(twins(IMAGES)[0], terms=greedy)


def test_a_failed_attempt_draws_nothing():
    _, scarce = twins(6)
    draws = []

    def drawing(outputs):
        draws.append(torch.rand(1))
        if len(outputs) == IMAGES and len(draws) == 1:
            raise torch.OutOfMemoryError
        return {"sum": outputs.sum()}

    scarce.room = IMAGES
    gradients(scarce, terms=drawing)
    first, second = draws
    assert first == second


def test_a_method_that_looks_inside_the_network_is_refused():
    class Pairs(nn.Module):
        calls = 0

        def forward(self, inputs):
            self.calls += 1
            if self.calls == 1:
                raise torch.OutOfMemoryError
            return inputs, inputs

    passes = Passes(Pairs(), contextlib.nullcontext)
    with pytest.raises(CellError, match="more of the network than its output"):
        passes(Batch(torch.zeros(4, 3, 2, 2), lambda outputs: {}), lambda: None)


def test_without_training_a_batch_goes_in_pieces(caplog):
    class Context:
        done = 0

        def autocast(self, precision):
            return contextlib.nullcontext()

        def advance(self, images):
            self.done += images

    whole, scarce = twins(5)
    inputs, context = [torch.randn(n, 3, 4, 4, dtype=torch.float64) for n in (IMAGES, 3, IMAGES)], Context()
    found = embed(scarce, inputs, context, "fp32")
    torch.testing.assert_close(found, embed(whole, inputs, Context(), "fp32"))
    assert context.done == 2 * IMAGES + 3
    assert scarce.shown == [12, 6, 3, 3, 3, 3, 3, 3, 3, 3, 3]  # the size that fits is remembered
    assert caplog.text.count("out of memory") == 2
    with pytest.raises(torch.OutOfMemoryError):
        embed(Scarce(0), inputs, context, "fp32")


@pytest.fixture
def scarce_gpu():
    """A GPU on which this process may take 300 MB more than it has."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 300e6) / total)
    yield torch.device("cuda")
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.gpu
def test_pieces_of_a_batch_that_does_not_fit_on_a_gpu(scarce_gpu):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(48, 8192), nn.GELU(), nn.Linear(8192, 16))
    inputs = torch.randn(4096, 48)
    found = []
    for device in (torch.device("cpu"), scarce_gpu):
        passes = Passes(net.to(device), contextlib.nullcontext)
        terms = passes(
            Batch(inputs.to(device), lambda outputs: {"norm": outputs.square().mean()}), net.zero_grad
        )
        found.append([terms["norm"], *(parameter.grad for parameter in net.parameters())])
        found[-1] = [tensor.clone().cpu() for tensor in found[-1]]
    assert passes.piece is not None
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-6)


@pytest.mark.gpu
def test_networks_that_are_asked_go_in_pieces_on_a_gpu(scarce_gpu):
    net = nn.Sequential(nn.Linear(48, 8192), nn.GELU(), nn.Linear(8192, 16)).to(scarce_gpu)
    inputs = torch.randn(20000, 48, device=scarce_gpu)
    outputs = Forward(net, contextlib.nullcontext)(inputs)
    torch.testing.assert_close(outputs[-9:], net(inputs[-9:]))
