"""The model of a bundle makes the codes that its numbers say, and nothing else gets through."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.deployment.encoder import Encoder
from bench.errors import UsageError
from bench.hamming import pack_codes
from tests.deployment.bundles import model, outputs_of, write_bundle


def images(count=20, height=9, width=7):
    return np.random.default_rng(count).integers(256, size=(count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("bits", [1, 8, 12, 64])
def test_codes_are_the_signs_of_the_outputs(tmp_path, bits):
    encoded = Encoder(write_bundle(tmp_path, bits), 1)(images())
    np.testing.assert_allclose(encoded.outputs, outputs_of(images(), bits), rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(encoded.codes, pack_codes(encoded.outputs))
    assert (encoded.codes.dtype, encoded.outputs.dtype) == (np.uint8, np.float32)


def test_embeddings_have_no_codes(tmp_path):
    encoded = Encoder(write_bundle(tmp_path, 0, 5), 1)(images())
    assert encoded.codes is None
    np.testing.assert_allclose(np.linalg.norm(encoded.outputs, axis=1), 1, rtol=1e-5)


def with_outputs(codes, outputs):
    """The small model, its outputs replaced by constants: type, shape and value of each."""
    made = model(12, 12)
    del made.graph.output[:], made.graph.node[:]
    for name, (kind, shape, value) in {"codes": codes, "outputs": outputs}.items():
        made.graph.initializer.append(helper.make_tensor(f"{name}_value", kind, [1], [value]))
        made.graph.initializer.append(
            helper.make_tensor(f"{name}_shape", TensorProto.INT64, [len(shape)], shape)
        )
        made.graph.node.append(helper.make_node("Expand", [f"{name}_value", f"{name}_shape"], [name]))
        made.graph.output.append(helper.make_tensor_value_info(name, kind, [None] * len(shape)))
    return made


FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


GOOD = FLOAT, [2, 12], 0


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (model(12, 12, images="pictures"), "it must have the input 'images' and the outputs codes, outputs"),
        (model(0, 12), "it must have the input 'images' and the outputs codes, outputs"),
        (with_outputs((FLOAT, [2, 2], 0), GOOD), "it must have the input"),
        (with_outputs((UINT8, [2], 0), GOOD), "it must have the input"),
        (with_outputs((UINT8, [2, 3], 0), GOOD), "its codes are not 12 bits"),
        (with_outputs((UINT8, [2, 2], 8), GOOD), "its codes are not 12 bits"),
        (with_outputs((UINT8, [2, 2], 16), GOOD), "its codes are not 12 bits an image, the signs of its"),
        (with_outputs((UINT8, [2, 2], 0), (FLOAT, [2, 11], 0)), "its outputs are not 12"),
        (with_outputs((UINT8, [2, 2], 0), (FLOAT, [2, 12], np.nan)), "its outputs are not 12"),
    ],
)
def test_another_model_is_refused(tmp_path, made: onnx.ModelProto, expected):
    bundle = write_bundle(tmp_path, 12, made=made)
    with pytest.raises(UsageError) as caught:
        Encoder(bundle, 1)(images(2))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'model.onnx'}: not a model of this bundle: {expected}")
    assert "\n" not in message


def test_a_model_that_fails_on_an_image_says_so(tmp_path):
    made = model(12, 12)
    made.graph.initializer.append(helper.make_tensor("nine", TensorProto.INT64, [4], [-1, 9, 9, 3]))
    made.graph.node.insert(0, helper.make_node("Reshape", ["images", "nine"], ["nines"]))
    made.graph.node[1].input[0] = "nines"
    encoder = Encoder(write_bundle(tmp_path, 12, made=made), 1)
    assert len(encoder(images(2, 9, 9)).outputs) == 2
    with pytest.raises(UsageError, match=r"it fails on images of \(8, 7, 3\) \(.*ONNXRuntimeError"):
        encoder(images(2, 8, 7))
