"""The example of a bundle's card: a photo becomes a code where nothing of the suite is installed."""

from __future__ import annotations

_CODES = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
codes, outputs = session.run(["codes", "outputs"], {"images": np.asarray(photo)[None]})
print(codes[0].tobytes().hex())  # BITS bits, the first one highest: compare with those of other photos by
distances = np.bitwise_count(codes[0] ^ codes).sum(axis=1)  # Hamming distance, here to the photo itself
print(distances)
"""

_EMBEDDINGS = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
(embeddings,) = session.run(["outputs"], {"images": np.asarray(photo)[None]})
print(embeddings[0])  # DIMENSIONS numbers of length 1: compare with those of other photos by
cosines = embeddings @ embeddings[0]  # here with the photo itself
print(cosines)
"""


def example(bits: int, dimensions: int) -> str:
    """Python that encodes ``photo.jpg`` with ``model.onnx``, both in the working folder."""
    text = _CODES if bits else _EMBEDDINGS
    return text.replace("BITS", str(bits)).replace("DIMENSIONS", str(dimensions))
