"""What happens to an image before the network, and to its outputs after it, as torch modules to export.

``Fit`` does what ``bench.data.fitting`` does with PIL, ``View`` what ``bench.training.views`` does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.data.fitting import GREY
from bench.data.fitting import Fit as FitRule
from bench.training import resampling
from bench.types import Interpolation, Preprocessing
from bench.types.sizes import ImageSize, sides

#: What PIL's weights are multiples of, the other way round.
_ONE = 2.0**22


class Fit(nn.Module):
    """uint8 (n, h, w, 3) of any size -> bytes as float (n, 3, height, width), those that PIL makes of it.

    That is bilinear with a low-pass filter where an image shrinks, columns before rows, and each rounded to
    whole bytes. PIL computes with weights of 22 binary digits, which is exact in double precision.

    Args:
        height, width: of the result in pixels.
        rule: ``crop``, ``pad`` or ``squash``, see ``ImageFiles``.
    """

    def __init__(self, height: int, width: int, rule: FitRule) -> None:
        super().__init__()
        self.height, self.width, self.rule = height, width, rule

    def forward(self, images: Tensor) -> Tensor:
        """The same image in the size that the data set has."""
        # Places of pixels, and from them the size as numbers of the graph, which is not known before.
        down, across = (torch.arange(images.shape[axis], dtype=torch.float64) + 0.5 for axis in (1, 2))
        high, wide = down[-1] + 0.5, across[-1] + 0.5
        inner_high, inner_wide = high * 0 + self.height, wide * 0 + self.width
        box_high, box_wide = high, wide
        if self.rule == "crop":
            box_high = torch.minimum(high, wide * self.height / self.width)
            box_wide = torch.minimum(wide, high * self.width / self.height)
        elif self.rule == "pad":
            scale = torch.minimum(inner_high / high, inner_wide / wide)
            inner_high, inner_wide = ((scale * size).round().clamp(min=1) for size in (high, wide))
        rows = _resizing(down, (high - box_high) / 2, box_high, self.height, inner_high)
        columns = _resizing(across, (wide - box_wide) / 2, box_wide, self.width, inner_wide)
        fitted = images.permute(0, 3, 1, 2).double() @ columns.transpose(0, 1)
        fitted = _bytes(rows @ _bytes(fitted))
        if self.rule == "pad":
            outside = 1 - rows.sum(dim=1)[:, None] * columns.sum(dim=1)
            fitted = fitted + GREY * outside.round()
        return fitted.float()


def _resizing(pixels: Tensor, start: Tensor, extent: Tensor, size: int, inner: Tensor) -> Tensor:
    """What pixels at ``pixels`` (p,) contribute to ``size`` pixels: float64 (size, p), rows of sum 1.

    Args:
        start, extent: of what is shown, in pixels of the image.
        inner: pixels of the result that show it, in the middle; rows of others have a sum of 0.
    """
    # PIL keeps the edges of what is shown in single precision.
    start, end = start.float(), (start + extent).float()
    start, step = start.double(), (end - start).double() / inner
    places = torch.arange(size, dtype=torch.float64) - torch.floor((size - inner) / 2)
    centres = start + (places + 0.5) * step
    weights = (1 - ((pixels - centres[:, None]) / step.clamp(min=1)).abs()).clamp(min=0)
    shown = ((places >= 0) & (places < inner)).double()[:, None]
    weights = shown * weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-9)
    return (weights * _ONE + 0.5).floor() / _ONE


def _bytes(values: Tensor) -> Tensor:
    """To whole numbers, halves up, as fixed-point arithmetic rounds."""
    return (values + 0.5).floor()


class View(nn.Module):
    """Bytes as float (n, 3, height, width) -> what the network expects, float (n, 3, h, w).

    The evaluation view: the centre, ``crop`` of each side of the image, resized, normalised.

    Args:
        grey: whether the network has seen images of one channel alone, which colours become.
    """

    #: Of red, green and blue in luma (ITU-R BT.601), in the fixed-point numbers of PIL's mode ``L``.
    LUMA = (19595 / 65536, 38470 / 65536, 7471 / 65536)

    def __init__(
        self,
        height: int,
        width: int,
        crop: float,
        grey: bool,
        preprocessing: Preprocessing,
        image_size: ImageSize,
    ) -> None:
        super().__init__()
        self.grey, self.image_size = grey, image_size
        mode = preprocessing.interpolation
        sizes = sides(image_size)
        needed = [round(size / crop) for size in sizes]
        shrinks = height > needed[0] or width > needed[1]
        rows, columns = (
            _view(pixels, shrunk if shrinks else pixels, crop, size, mode)
            for pixels, shrunk, size in zip((height, width), needed, sizes, strict=True)
        )
        self.rows, self.columns = nn.Buffer(rows), nn.Buffer(columns.T.contiguous())
        self.resizes = not (_is_identity(rows) and _is_identity(columns))
        mean, std = torch.tensor([preprocessing.mean, preprocessing.std], dtype=torch.float64).view(
            2, 1, 3, 1, 1
        )
        self.scale, self.shift = nn.Buffer((1 / (255 * std)).float()), nn.Buffer((-mean / std).float())

    def forward(self, images: Tensor) -> Tensor:
        """What the network sees."""
        if self.grey:
            images = _bytes((images * images.new_tensor(self.LUMA)[:, None, None]).sum(dim=1, keepdim=True))
        if self.resizes:
            # Bicubic interpolation overshoots; no camera gives such values.
            images = (self.rows @ images @ self.columns).clamp(0, 255)
        return images * self.scale + self.shift


def _view(pixels: int, shrunk: int, crop: float, size: int, mode: Interpolation) -> Tensor:
    """``views.render`` along one axis, shrunk first, as a matrix: float32 (size, pixels)."""
    shrink = torch.eye(pixels, dtype=torch.float64)
    if shrunk != pixels:
        antialias = mode != "nearest"
        shrink = F.interpolate(shrink[None, None], (shrunk, pixels), mode=mode, antialias=antialias)[0, 0]
    # In single precision as there, down to the rounding of places.
    start, side, flip = torch.tensor([[(1 - crop) / 2], [crop], [0.0]])
    cut = resampling.weights(start, side, flip, size, len(shrink), mode)[0]
    return (cut.double() @ shrink).float()


def _is_identity(matrix: Tensor) -> bool:
    return matrix.shape[0] == matrix.shape[1] and bool((matrix == torch.eye(len(matrix))).all())


class Codes(nn.Module):
    """Outputs float (n, bits) -> packed codes uint8 (n, ceil(bits / 8)), first bit highest; sign(0) = +1."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.missing = -bits % 8
        self.values = nn.Buffer(2.0 ** torch.arange(7, -1, -1))

    def forward(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The codes, and the outputs as they came."""
        signs = F.pad((outputs >= 0).float(), (0, self.missing))
        bytewise = signs.reshape(len(signs), -1, 8)
        return (bytewise * self.values).sum(dim=2).to(torch.uint8), outputs


class Embeddings(nn.Module):
    """Outputs float (n, d) -> the same of length 1."""

    def forward(self, outputs: Tensor) -> Tensor:
        """What is compared by cosine."""
        return F.normalize(outputs, dim=1)
