from __future__ import annotations

from importlib.metadata import version
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from torch import nn

from bench.errors import UsageError, WeightsError
from bench.registry import STUDENTS, TEACHERS
from bench.types import Preprocessing
from models.layers.heads import hash_network
from tests.networks import network


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_one_class_per_name():
    assert TEACHERS.get("timm:resnet18") is STUDENTS.get("timm:resnet18")
    assert TEACHERS.get("timm:resnet18") is not TEACHERS.get("torchvision:resnet18")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet19", r"timm has no network 'resnet19'; did you mean 'resnet18'\?$"),
        ("timm:resnet05", r"timm has no network 'resnet05'; did you mean 'resnet50'\?$"),
        ("timm:mobilnetv3_small_100", r"did you mean 'mobilenetv3_small_100'\?$"),
        ("timm:resnet_typo", r"timm has no network 'resnet_typo'; timm\.list_models\(\) lists those it has$"),
        (
            "timm:resnet18.a1_in1kk",
            r"timm has no weights 'a1_in1kk' for resnet18; did you mean 'a1_in1k'\? \(choices: a1_in1k, ",
        ),
        (
            "timm:resnet05.a1_in1k",
            r"timm has no network 'resnet05\.a1_in1k'; did you mean 'resnet50\.a1_in1k'",
        ),
        ("timm:", "timm: names no network; write timm:resnet18$"),
        ("torchvision:resnet19", r"torchvision has no network 'resnet19'; did you mean 'resnet18'\?$"),
        ("torchvision:vgg", r"did you mean 'vgg11', 'vgg13' or 'vgg16'\?$"),
        ("torchvision:resnet50.V3", r"no weights 'V3' for resnet50 \(choices: IMAGENET1K_V1, "),
        ("torchvision:raft_large", r"no network 'raft_large'; torchvision\.models\.list_models\(\) lists"),
    ],
)
def test_unknown_names(name, message):
    unknown = network(name, weights="none")
    for use in (unknown.build, lambda: unknown.feature_dim(64), lambda: unknown.preprocessing):
        with pytest.raises(UsageError, match=message):
            use()


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [
        ("timm:resnet18", 64, 512),
        ("timm:vit_tiny_patch16_224", 224, 192),
        ("timm:mobilenetv3_small_050", 64, 1024),
        ("torchvision:resnet18", 64, 512),
        ("torchvision:mobilenet_v3_small", 64, 1024),
        ("torchvision:vgg11", 64, 4096),
        ("torchvision:vit_b_16", 224, 768),
        ("torchvision:regnet_y_400mf", 64, 440),
    ],
)
def test_width(name, size, width):
    assert network(name).feature_dim(size) == width


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:vit_tiny_patch16_224", "does not take images of 64 px: "),
        ("torchvision:vit_b_16", "does not take images of 64 px: "),
        ("torchvision:alexnet", "does not take images of 32 px: "),
        ("torchvision:squeezenet1_0", "does not end in one linear classifier"),
    ],
)
def test_sizes_and_shapes_that_do_not_work(name, message):
    with pytest.raises(UsageError, match=message):
        network(name).feature_dim(32 if "alexnet" in name else 64)


def test_the_dropout_before_the_classifier_goes_with_it():
    net = network("torchvision:mobilenet_v3_small", weights="none").build()
    assert not any(isinstance(module, nn.Dropout) for module in net.modules())


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:resnet18"])
def test_files_with_and_without_classifier(name, tmp_path):
    plain = network(name, weights="none")
    full = plain.make()
    torch.save(full.state_dict(), tmp_path / "full.pt")
    plain.strip(full)
    torch.save(full.state_dict(), tmp_path / "headless.pt")
    for file in ("full.pt", "headless.pt"):
        loaded = network(name, weights=str(tmp_path / file)).build()
        for ours, theirs in zip(full.parameters(), loaded.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_a_file_with_another_layer_too_many_does_not_fit(tmp_path):
    state = network("torchvision:resnet18", weights="none").make().state_dict()
    torch.save(state | {"fc2.weight": torch.ones(1)}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"net\.pt: does not fit the network: fc2\.weight is unknown"):
        network("torchvision:resnet18", weights=str(tmp_path / "net.pt")).build()


def test_published_weights_are_named_after_their_release():
    assert network("timm:resnet18.a1_in1k").weights_id() == f"timm:resnet18.a1_in1k:{version('timm')}"
    release = version("torchvision")
    assert network("torchvision:resnet18").weights_id() == f"torchvision:resnet18:{release}:DEFAULT"
    assert network("resnet50").weights_id() == f"torchvision:resnet50:{release}:IMAGENET1K_V1"


def test_published_preprocessing():
    assert network("torchvision:resnet18").preprocessing == Preprocessing()
    for name in ("resnet50", "alexnet"):
        assert network(name).preprocessing == network(name).published_preprocessing() == Preprocessing()
    half = (0.5, 0.5, 0.5)
    for number, size in enumerate((224, 240, 260)):
        lite = network(f"efficientnet_lite{number}")
        assert (
            lite.preprocessing == lite.published_preprocessing() == Preprocessing(half, half, size, "bicubic")
        )


@pytest.mark.parametrize("name", ["torchvision:resnet18", "resnet50"])
def test_torchvision_offline(name, monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(
        WeightsError, match=r"\(URLError\); without internet, copy them from https://.*\.pth and"
    ):
        network(name).build()


def test_timm_offline(monkeypatch):
    create = timm.create_model

    def offline(arch, *, pretrained, **kwargs):
        if pretrained:
            raise OSError("no route to host")
        return create(arch, **kwargs)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"copy them from https://huggingface\.co/timm/resnet18\.\w+ and"):
        network("timm:resnet18").build()
    assert network("timm:resnet18", weights="none").build()


def test_timm_without_published_weights():
    name = next(name for name in timm.list_models() if not timm.models.get_pretrained_cfg(name).has_weights)
    with pytest.raises(WeightsError, match="timm publishes no weights"):
        network(f"timm:{name}").build()


@pytest.mark.parametrize(("name", "params"), [("resnet50", 23_540_816), ("alexnet", 57_069_392)])
def test_teachers_as_hash_networks(name, params):
    teacher = network(name, weights="none")
    with torch.device("meta"):
        net = hash_network(teacher.build(), teacher.feature_dim(224), bits=16)
    assert count(net) == params


@pytest.mark.slow
# torchvision announces a change of initialisation, which the meta device has none of.
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("name", torchvision.models.list_models(module=torchvision.models))
def test_every_torchvision_classifier_gives_a_vector_or_says_why_not(name):
    if name in ("googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"):
        # Auxiliary classifiers, or a convolution for one: what to take off is not plain.
        with pytest.raises(UsageError, match=name):
            network(f"torchvision:{name}").feature_dim(299)
        return
    size = network(f"torchvision:{name}").preprocessing.image_size
    assert network(f"torchvision:{name}").feature_dim(224 if name == "vit_h_14" else size) > 0
