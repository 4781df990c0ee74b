"""The example of a bundle's card: a photo becomes a code where nothing of the suite is installed."""

from __future__ import annotations

_CODES = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
codes, outputs = session.run(["codes", "outputs"], {"images": np.asarray(photo)[None]})
print(codes[0].tobytes().hex())  # BITS bits, the first one highest
distances = np.bitwise_count(codes[0] ^ codes).sum(axis=1)  # Hamming distances, here to itself alone
print(distances)
"""

_EMBEDDINGS = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
(embeddings,) = session.run(["outputs"], {"images": np.asarray(photo)[None]})
print(embeddings[0])  # DIMENSIONS numbers, a vector of length 1
cosines = embeddings @ embeddings[0]  # here with itself alone
print(cosines)
"""


def example(bits: int, dimensions: int) -> str:
    """Python that encodes ``photo.jpg`` with ``model.onnx``, both in the working folder."""
    text = _CODES if bits else _EMBEDDINGS
    return text.replace("BITS", str(bits)).replace("DIMENSIONS", str(dimensions))
