"""The card's example runs as it stands, and makes the code that ``encode`` makes."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bench.deployment.encoder import Encoder
from bench.deployment.example import example
from tests.deployment.bundles import write_bundle


@pytest.mark.parametrize("bits", [32, 0])
def test_the_example_encodes_a_photo_where_the_suite_is_not_installed(tmp_path, bits):
    bundle = write_bundle(tmp_path, bits, 32)
    pixels = np.random.default_rng(1).integers(256, size=(8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels[::-1, ::-1]).save(tmp_path / "photo.png", exif=exif)
    text = example(bits, 32).replace("photo.jpg", "photo.png")  # JPEG would change the pixels
    assert text.count("\n") == 10
    (tmp_path / "example.py").write_text(text)
    isolated = [sys.executable, "-I", "-W", "error", "example.py"]  # no folder of the suite is looked at
    done = subprocess.run(isolated, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    encoded = Encoder(bundle, 1)(pixels[None])
    if bits:
        assert done.stdout == f"{encoded.codes[0].tobytes().hex()}\n[0]\n"
    else:
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d*(?:e-?\d+)?", done.stdout)]
        np.testing.assert_allclose(numbers, [*encoded.outputs[0], 1], atol=1e-5)
    imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(imported) == {"numpy", "onnxruntime", "PIL"}
