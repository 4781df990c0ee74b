"""Images of a data set: pixels, labels, views, and which image plays which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Interpolation = Literal["bilinear", "bicubic", "nearest"]
ErasedShape = Literal["log_uniform", "uniform"]
Border = Literal["repeat", "black"]
#: What says which database images answer a query: shared ``labels``, one of the kinds of truth below
#: (``revisited``, ``cameras``, ``frames``), or what a data set and a metric of one's own agree on.
Judge = str


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its input; it travels with the weights.

    Attributes:
        mean, std: per RGB channel, for pixels scaled to [0, 1].
        image_size: side of the square input the weights were trained at, in pixels.
        interpolation: how images are resized to it.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    image_size: int = 224
    interpolation: Interpolation = "bilinear"


@dataclass(frozen=True)
class Augmentation:
    """Random views for training: a crop of ``crop`` of each side at a random place, and a flip.

    Attributes:
        crop: sides of the crop relative to those of the image; 1.0 = whole image. Evaluation uses the
            centre crop of ``evaluation_crop`` of the sides.
        shift: how far a crop may lie outside of the image, relative to its sides; two numbers: across, down.
        flip: whether half of the views are mirrored; off where a mirror image changes the meaning.
        erase: share of the views in which a random box is painted over with the mean colour.
        erased_shape: how the shapes of boxes are drawn: evenly over the logarithm of height over width, so
            that boxes are tall as often as wide; or evenly over height over width.
        border: what lies outside of the image: its border again, or black.
    """

    crop: float = 0.875
    flip: bool = True
    evaluation_crop: float = 1.0
    shift: float | tuple[float, float] = 0.0
    erase: float = 0.0
    erased_shape: ErasedShape = "log_uniform"
    border: Border = "repeat"


class Pixels(Protocol):
    """Images of one size: an array, or files that are read when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, height, width), channels 1 or 3."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """uint8 (m, channels, height, width) of the images at ``indices``, int64 (m,)."""
        ...


class Truth(Protocol):
    """What answers a query, where labels alone do not say it; a frozen dataclass.

    Its name and its fields are part of the data set's identity.
    """

    def answers(self, query: int, result: int, alike: bool) -> bool | None:
        """Whether one image answers another; None where the protocol looks away.

        Args:
            query, result: images of the data set.
            alike: whether they share a label.
        """
        ...


@dataclass(frozen=True)
class RevisitedTruth:
    """Landmarks as Revisited Oxford and Paris judge them (F. Radenovic et al., CVPR 2018).

    Attributes:
        easy, hard, junk: query image -> int64 indices of database images, all into the data set.
    """

    easy: Mapping[int, NDArray[np.int64]]
    hard: Mapping[int, NDArray[np.int64]]
    junk: Mapping[int, NDArray[np.int64]]

    def answers(self, query: int, result: int, alike: bool) -> bool | None:
        """Both easy and hard ones do; the protocol looks away from junk."""
        easy, hard, junk = (result in images.get(query, ()) for images in (self.easy, self.hard, self.junk))
        return None if junk else easy or hard


@dataclass(frozen=True)
class CameraTruth:
    """Re-identification: the labels are identities, and a match by the query's own camera does not count.

    Attributes:
        cameras: int64 (n,) camera of each image of the data set.
    """

    cameras: NDArray[np.int64]

    def answers(self, query: int, result: int, alike: bool) -> bool | None:
        """Images of the same identity do; the protocol looks away from those by the query's own camera."""
        return None if alike and self.cameras[query] == self.cameras[result] else alike


@dataclass(frozen=True)
class FrameTruth:
    """Near-duplicate videos: every image is a frame, and videos are compared, not frames.

    Attributes:
        videos: int64 (n,) video of each image of the data set.
        judged: query video -> {candidate video: whether it is a near-duplicate}. A query is compared with
            the candidates judged for it and with all videos of the database that nobody judged.
    """

    videos: NDArray[np.int64]
    judged: Mapping[int, Mapping[int, bool]]

    def answers(self, query: int, result: int, alike: bool) -> bool | None:
        """Frames of near-duplicates do; videos that nobody judged are none."""
        return self.judged.get(int(self.videos[query]), {}).get(int(self.videos[result]), False)


@dataclass(frozen=True)
class ImageSet:
    """Images of one data set.

    Attributes:
        pixels: uint8 (n, channels, height, width), channels 1 or 3.
        labels: int64 (n,) class indices, or uint8 (n, classes) 0/1 for multi-label sets. Images outside
            the training set may have class indices from ``classes`` on: identities seen in tests only.
        classes: number of classes of the training set.
        augmentation: which random views keep the meaning of an image.
        truth: what answers a query, where labels alone do not say it.
        names: of the classes, for messages, where the data set knows them; no part of its identity.
    """

    pixels: Pixels
    labels: NDArray[Any]
    classes: int
    augmentation: Augmentation = Augmentation()
    truth: Truth | None = None
    names: Sequence[str] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.pixels)

    def multi_hot(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Labels of some images as uint8 (m, classes) 0/1, whatever form the data set has."""
        labels = self.labels[indices]
        if labels.ndim == 2:
            return np.asarray(labels, dtype=np.uint8)
        hot = np.zeros((len(labels), self.classes), np.uint8)
        hot[np.arange(len(labels)), labels] = 1
        return hot

    def answers(self, query: int, result: int) -> bool | None:
        """Whether one image answers another; None where the protocol looks away."""
        labels = self.labels[[query, result]]
        alike = bool(np.any(labels[0] & labels[1]) if labels.ndim == 2 else labels[0] == labels[1])
        return alike if self.truth is None else self.truth.answers(query, result, alike)


@dataclass(frozen=True)
class Unseen:
    """Classes that training never sees.

    Attributes:
        classes: int64, ascending, as the data set numbers them; in an ``ImageSet`` that is trained on they
            come after all others.
        of: number of classes, these included.
        images: int64 indices of their images in the data set, sorted.
        in_pool: whether step 1 may look at these images all the same, without labels.
    """

    classes: NDArray[np.int64]
    of: int
    images: NDArray[np.int64]
    in_pool: bool = False


@dataclass(frozen=True)
class Splits:
    """Which image plays which part; every array holds int64 indices into the data set, sorted.

    ``query`` is disjoint from all others. ``train`` and ``val`` are disjoint and may lie inside
    ``database``, as the protocol says. ``protocol`` names the rule and its parameters. ``unseen`` are the
    classes of which queries and database have images, but ``train`` and ``val`` have none.
    """

    protocol: str
    query: NDArray[np.int64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    database: NDArray[np.int64]
    unseen: Unseen | None = field(default=None, kw_only=True)

    @property
    def kept_from_pools(self) -> NDArray[np.int64]:
        """Images, beside queries, that step 1 may not look at: those of unseen classes, mostly."""
        return np.empty(0, np.int64) if self.unseen is None or self.unseen.in_pool else self.unseen.images
