"""Multiply-adds of one forward pass, operator by operator, against counts by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from bench.metrics import _operators as operators

IMAGE = torch.zeros(1, 3, 32, 32)
#: The image as 24 steps of 128 numbers.
STEPS, WIDTH = 24, 128


class Net(nn.Module):
    """A function of layers and an image."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, images):
        return self.function(*self.layers, images)


def on_steps(*layers):
    return Net(lambda layer, images: layer(images.reshape(-1, STEPS, WIDTH)), *layers)


def counted(net):
    return operators.count(net.eval(), IMAGE)


def attention(layer, images):
    steps = images.reshape(-1, STEPS, WIDTH)
    return layer(steps, steps, steps, need_weights=False)[0]


def bilinear(layer, images):
    rows = images.reshape(STEPS, WIDTH)
    return layer(rows[:, :7], rows[:, :5])


def einsum(rule):
    return lambda layer, images: torch.einsum(rule, images, layer.weight)


def unfolded(layer, images):
    return layer(F.unfold(images, 3, padding=1).transpose(1, 2))


def by_values(layer, images):
    """Whether it runs depends on what it sees, so it cannot do without values."""
    return layer(images.flatten(2))[0] if float(images.sum()) >= 0 else images


PRODUCTS = {
    "convolution": (nn.Conv2d(3, 8, 3, padding=1), 32 * 32 * 8 * 27),
    "groups": (nn.Conv2d(3, 6, 3, padding=1, groups=3), 32 * 32 * 6 * 9),
    "transposed": (nn.ConvTranspose2d(3, 6, 3, stride=2, groups=3), 32 * 32 * 3 * 2 * 9),
    "in three dimensions": (Net(lambda layer, x: layer(x[None]), nn.Conv3d(1, 4, 3)), 30 * 30 * 4 * 27),
    "lstm": (on_steps(nn.LSTM(WIDTH, 64, batch_first=True)), STEPS * 4 * 64 * (WIDTH + 64)),
    "lstm, both ways": (
        on_steps(nn.LSTM(WIDTH, 64, 2, batch_first=True, bidirectional=True)),
        STEPS * 2 * 4 * 64 * (WIDTH + 64 + 2 * 64 + 64),
    ),
    "gru": (on_steps(nn.GRU(WIDTH, 64, batch_first=True)), STEPS * 3 * 64 * (WIDTH + 64)),
    "rnn": (on_steps(nn.RNN(WIDTH, 64, batch_first=True)), STEPS * 64 * (WIDTH + 64)),
    "attention": (
        Net(attention, nn.MultiheadAttention(WIDTH, 4, batch_first=True)),
        4 * STEPS * WIDTH**2 + 2 * STEPS**2 * WIDTH,
    ),
    "encoder layer": (
        on_steps(nn.TransformerEncoderLayer(WIDTH, 4, 256, batch_first=True)),
        4 * STEPS * WIDTH**2 + 2 * STEPS**2 * WIDTH + 2 * STEPS * WIDTH * 256,
    ),
    "bilinear": (Net(bilinear, nn.Bilinear(7, 5, 11)), STEPS * 11 * (7 * 5 + 5)),
    "einsum that sums": (Net(einsum("bchw,cd->bdhw"), nn.Linear(8, 3, bias=False)), 32 * 32 * 3 * 8),
    "einsum that does not": (Net(einsum("bchw,cw->bchw"), nn.Linear(32, 3, bias=False)), 0),
    "matrix times vector": (Net(lambda x: x[0, 0] @ x[0, 0, 0]), 32 * 32),
    "vector times vector": (Net(lambda x: x[0, 0, 0] @ x[0, 0, 1]), 32),
    "unfolded": (Net(unfolded, nn.Linear(27, 5)), 32 * 32 * 27 * 5),
    "by values": (Net(by_values, nn.LSTM(1024, 8)), 3 * 4 * 8 * (1024 + 8)),
    "weighted look-up": (
        Net(
            lambda table, x: table(x.long().flatten(1), per_sample_weights=torch.ones_like(x).flatten(1)),
            nn.EmbeddingBag(3, 4, mode="sum"),
        ),
        3 * 32 * 32 * 4,
    ),
    "squeeze and excite": (
        Net(lambda layer, x: x * layer(x.mean((2, 3), keepdim=True)).sigmoid(), nn.Conv2d(3, 3, 1)),
        9,
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_by_hand(name):
    net, expected = PRODUCTS[name]
    found = counted(net)
    assert not found.unknown
    assert not found.unused
    assert sum(found.products.values()) == expected
    assert found.convolutions + found.matrix_products == expected


HARMLESS = {
    "activations": Net(
        lambda x: [
            activation(x)
            for activation in (
                F.relu_,
                F.hardswish,
                F.mish,
                F.silu,
                F.gelu,
                F.softplus,
                F.logsigmoid,
                F.hardtanh,
            )
        ]
    ),
    "activations in place": nn.Sequential(
        nn.ReLU(True),
        nn.ReLU6(True),
        nn.LeakyReLU(inplace=True),
        nn.ELU(inplace=True),
        nn.CELU(inplace=True),
        nn.SELU(True),
        nn.SiLU(True),
        nn.Mish(True),
        nn.Hardswish(True),
        nn.Hardsigmoid(True),
        nn.Hardtanh(inplace=True),
        nn.Threshold(0.1, 0.0, True),
        nn.RReLU(inplace=True),
    ),
    "normalisation": nn.Sequential(
        nn.BatchNorm2d(3), nn.InstanceNorm2d(3), nn.GroupNorm(3, 3), nn.LayerNorm(32), nn.LocalResponseNorm(2)
    ),
    "pooling": nn.Sequential(
        nn.MaxPool2d(2), nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.AdaptiveMaxPool2d(3), nn.AdaptiveAvgPool2d(1)
    ),
    "padding": nn.Sequential(nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), nn.ZeroPad2d(1)),
    "shuffling": nn.Sequential(nn.PixelUnshuffle(2), nn.ChannelShuffle(3), nn.PixelShuffle(2)),
    "look-up": Net(lambda table, x: table(x.long().flatten(1)), nn.Embedding(3, 4)),
    "summed look-up": Net(lambda table, x: table(x.long().flatten(1)), nn.EmbeddingBag(3, 4)),
    "resampling": Net(
        lambda x: F.grid_sample(
            F.interpolate(x, (8, 8), mode="bicubic"), x[:, :2].movedim(1, 3), align_corners=False
        )
    ),
    "ranking": Net(lambda x: x.flatten(1).topk(5).values.cumsum(1).softmax(1)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_has_no_products(name):
    assert counted(HARMLESS[name]) == operators.Count({}, {})


@torch.library.custom_op("hash_pareto_test::secret", mutates_args=())
def secret(x: torch.Tensor) -> torch.Tensor:
    """An operator of somebody's own library, with products inside."""
    return x @ x.transpose(-1, -2)


class OfTheirOwn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x @ x.transpose(-1, -2)


UNKNOWN = {
    "a library's own operator": (Net(secret), {"hash_pareto_test.secret": 1}),
    "fft": (Net(lambda x: torch.fft.rfft2(x).abs()), {"_fft_r2c": 1}),
    "distances": (Net(lambda x: torch.cdist(x, x)), {"_euclidean_dist": 1}),
    "sparse": (Net(lambda x: torch.eye(32).to_sparse_csr() @ x[0, 0]), {"mm": 1}),
    "decomposition": (Net(lambda x: torch.linalg.svd(x)[0]), {"_linalg_svd": 1}),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("name", UNKNOWN)
def test_what_nobody_knows_is_named(name):
    """Products beside it are counted all the same."""
    net, expected = UNKNOWN[name]
    found = counted(nn.Sequential(nn.Conv2d(3, 3, 1), net))
    assert found.unknown == expected
    assert found.products == {"convolution": 32 * 32 * 9}


def by_numpy(layer, images):
    return torch.from_numpy(images.flatten(1).numpy() @ layer.weight.detach().numpy().T)


def as_array(layer, images):
    return torch.from_numpy(np.asarray(images.flatten(1)) @ np.asarray(layer.weight.detach()).T)


def in_a_thread(layer, images):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.no_grad()(layer), images.flatten(1)).result()


@pytest.mark.parametrize(
    ("function", "unknown", "unused"),
    [
        (by_numpy, {"Tensor.numpy": 2}, ()),
        (as_array, {"Tensor.numpy": 2}, ()),
        (in_a_thread, {}, ("1.layers.0.weight",)),
    ],
)
def test_work_done_elsewhere_leaves_a_trace(function, unknown, unused):
    net = nn.Sequential(nn.Conv2d(3, 3, 1), Net(function, nn.Linear(3 * 32 * 32, 5)))
    assert counted(net) == operators.Count({"convolution": 32 * 32 * 9}, unknown, unused)


def test_weights_that_only_training_uses_are_no_fault():
    """Heads that do not run, and vectors such as tokens for masks."""
    net = Net(lambda conv, head, x: conv(x), nn.Conv2d(3, 3, 1), nn.Linear(7, 7))
    net.mask = nn.Parameter(torch.zeros(1, 1, 64))
    assert not counted(net).unused
    net.centres = nn.Parameter(torch.zeros(10, 64))
    assert counted(net).unused == ("centres",)


def test_a_function_with_a_gradient_of_its_own_is_looked_into():
    assert counted(Net(OfTheirOwn.apply)).products == {"bmm": 3 * 32 * 32 * 32}


def test_nothing_is_left_switched_off():
    with pytest.raises(RuntimeError, match="shape"):
        counted(Net(lambda x: x.reshape(5)))
    assert torch.backends.mkldnn.is_available()
    assert torch._C._get_mkldnn_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


FAMILIES = [
    "convnext_atto",
    "efficientformerv2_s0",
    "maxvit_pico_rw_256",
    "mobilenetv3_small_050",
    "mobilevit_xxs",
    "seresnext26t_32x4d",
    "swin_tiny_patch4_window7_224",
    "vit_tiny_patch16_224",
    "volo_d1_224",
    "xcit_nano_12_p16_224",
]


@pytest.mark.parametrize("name", FAMILIES)
def test_ordinary_networks_are_counted_whole(name):
    with torch.device("meta"):
        net = timm.create_model(name).eval()
    size = net.default_cfg["input_size"][-1]
    found = operators.count(net, torch.zeros(1, 3, size, size, device="meta"))
    assert found.products
    assert not found.unknown
    assert not found.unused
