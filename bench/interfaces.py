"""What plug-ins look like: the six interfaces of the suite.

A plug-in is a class in a file of its own, registered under the file's name. Subclassing its interface is
not required; it brings the defaults of the optional members. ``ls`` shows the first line of the class's
docstring or, where there is none, of the file's; built-in plug-ins say there what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.types import (
    DistillationBatch,
    DistillationTask,
    HashingTask,
    ImageSet,
    Judge,
    Measurement,
    MetricEntry,
    Noise,
    Parameters,
    Preprocessing,
    Space,
    Splits,
    Subject,
)
from bench.types.sizes import ImageSize

if TYPE_CHECKING:
    from torch import Tensor, nn


class Dataset(Protocol):
    """A data set and its retrieval protocol (``bench/datasets/<name>.py``)."""

    version: ClassVar[int]
    #: rank cut-off of mAP when the grid names none; None = the whole database
    default_k: ClassVar[int | None]
    #: what says which images answer a query; metrics on codes are chosen by it
    judged_by: ClassVar[Judge] = "labels"
    Params: ClassVar[type[Parameters]]

    params: Any

    def __init__(self, params: Any) -> None:
        self.params = params

    @property
    def labelled(self) -> bool:
        """Whether training images have labels: without, there are no hashing losses."""
        return True

    @property
    def open_database(self) -> bool:
        """Whether step 1 may look at images of the database, though never at their labels.

        That is usual where training images lie among them; sets with a ground truth of their own mostly keep
        what they are tested on apart.
        """
        return self.judged_by == "labels"

    def sizes(self) -> dict[str, int]:
        """Published size of the parts ``query``, ``train`` (with val) and ``database``, where there is one.

        It lets a plan say what work there is before the data are at hand.
        """
        return {}

    def prepare(self, root: Path) -> str:
        """Download or check what the set needs below ``root``; return one line that says what is there.

        Raises:
            MissingDataError: what is missing, where it was looked for, and how to get it.
            DataError: what is there is damaged.
        """
        ...

    def load(self, root: Path) -> ImageSet:
        """Read the images from ``root``; never downloads. Raises as ``prepare``.

        Images that stay in files are ``bench.data.image_files.ImageFiles``, of which keys know the contents;
        ``bench.data.skipping`` leaves out those that cannot be read.
        """
        ...

    def splits(self, images: ImageSet) -> Splits:
        """Draw the protocol's splits from the split seed; the same for every method and bit length.

        Of a set whose ``Params`` inherit from ``bench.data.unseen.UnseenClasses``, classes are taken out of
        training afterwards, and numbered last.
        """
        ...


class Network(Protocol):
    """An image encoder without a head (``models/teachers``, ``models/students``)."""

    version: ClassVar[int]
    Params: ClassVar[type[Parameters]]
    preprocessing: Preprocessing

    def __init__(self, params: Any) -> None: ...

    def weights_id(self) -> str:
        """Fingerprint of the initial weights, ``"none"`` for random ones; needs no torch.

        Raises:
            WeightsError: the weights cannot be had; says what to install or pass.
        """
        ...

    def feature_dim(self, image_size: ImageSize) -> int:
        """Width of the feature for inputs of this size."""
        ...

    def build(self) -> nn.Module:
        """A new module: float (n, 3, s, s) normalised images -> float (n, feature_dim(s)).

        Random weights come from torch's global generator, which the caller seeds.
        """
        ...

    # Optional: ``build_classifier()``, the same network with the classifier of its pretraining, for
    # methods whose ``teacher_output`` is "logits"; ``licence()``, that of the published weights, in a word.


class Stateful(Protocol):
    """What changes in an object as it trains, beside the weights that are trained.

    Checkpoints keep it, so that an interrupted training goes on bit for bit. With one that changes its
    attributes and tells nothing, there are none.
    """

    def state_dict(self) -> dict[str, Any]:
        """Tensors, JSON values, and lists and dicts of these."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Be as when ``state_dict`` said so; just made, and told which epoch begins. Tuples are lists now."""


class Method(Stateful, Protocol):
    """A way to distil teachers into a student, step 1 (``bench/methods/<name>.py``).

    One instance serves one training.
    """

    version: ClassVar[int]
    #: whether there is a step 1 at all
    trains: ClassVar[bool] = True
    #: how many teachers the method takes, least and most
    teachers: ClassVar[tuple[int, int]]
    #: what it uses of a teacher: cached "features" or "logits" of frozen networks, or the "network" itself
    teacher_output: ClassVar[Literal["features", "logits", "network"]] = "features"
    #: whether the student must be the same network as the teacher
    same_network: ClassVar[bool] = False
    #: whether step 1 leaves a network of another architecture, whose cost has to be measured anew
    reshapes: ClassVar[bool] = False
    #: whether teachers see the random views that the student sees; else they see the evaluation view once
    shared_views: ClassVar[bool] = True
    #: in how many views a batch shows its images; it then consists of so many equal parts
    views_per_step: ClassVar[int] = 1
    #: method that trains live teachers on the labels of the target first; they start from their own weights
    teacher_trained_by: ClassVar[str | None] = None
    #: what a tuning may search, and does where the grid does not say: nothing that changes which network is
    #: left, what teachers are asked or what a training costs
    space: ClassVar[Space] = {}
    Params: ClassVar[type[Parameters]]

    params: Any
    task: DistillationTask

    def __init__(self, params: Any, task: DistillationTask) -> None:
        self.params, self.task = params, task

    @classmethod
    def uses_labels(cls, params: Any) -> bool:
        """Whether training looks at labels; then the pool must be the training images."""
        return False

    @classmethod
    def uses_videos(cls, params: Any) -> bool:
        """Whether images must be frames of videos (``DistillationTask.videos``)."""
        return False

    @classmethod
    def check(cls, params: Any) -> str | None:
        """Why these parameters cannot work together, or None if they can."""
        return None

    @classmethod
    def reshaped_by(cls, params: Any) -> bool:
        """Whether step 1 leaves a network of another architecture, if that depends on parameters."""
        return cls.reshapes

    @classmethod
    def check_network(cls, trunk: nn.Module) -> None:
        """Refuse a student that the method cannot train; called before any work.

        Raises:
            UsageError: why, and what can be used.
        """

    @classmethod
    def teacher_params(cls, params: Any) -> dict[str, Any]:
        """Parameters of ``teacher_trained_by``."""
        return {}

    def network(self) -> nn.Module:
        """What is trained and shown the images; the student itself unless something is put around it."""
        return self.task.trunk

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Parameters to train, as torch's optimizers take them; ``lr_scale`` multiplies the learning rate."""
        return [{"params": list(network.parameters())}]

    def batches(self, epoch: int) -> Iterable[NDArray[np.int64]] | None:
        """Positions in the pool, batch by batch; None = shuffled.

        Of what is left over at the end, ``params.incomplete`` says what becomes (``bench.types.cut``).

        They are asked for ahead of time, and twice: an epoch is the same whenever it is asked for.
        """
        return None

    def terms(self, outputs: Any, batch: DistillationBatch) -> dict[str, Tensor]:
        """Weighted loss terms by name; their sum is minimised.

        Args:
            outputs: what ``network()`` made of the batch, with gradient; of a trunk, float (n, width).
            batch: everything else.
        """
        ...

    def adjust_gradients(self, epoch: int) -> None:
        """Called between the backward pass and the optimizer's step."""

    def student(self) -> tuple[nn.Module, dict[str, Any]]:
        """The trained student, and its architecture if step 1 changed it (see ``models.pruning.reshape``)."""
        return self.task.trunk, {}

    def tensors(self) -> dict[str, Tensor]:
        """What else is worth keeping beside the student."""
        return {}

    def summary(self) -> dict[str, Any]:
        """What a reader should know of this training, plain JSON values.

        Sentences in a list ``warnings`` go to the record's warnings.
        """
        return {}


class Loss(Stateful, Protocol):
    """A hashing loss, step 2 (``bench/losses/<name>.py``). One instance serves one training."""

    version: ClassVar[int]
    #: whether step 2 is a training; if it is not ``fitted`` either, the student's feature is the embedding,
    #: and cosine compares it
    trains: ClassVar[bool] = True
    #: whether step 2 is ``fit`` alone: no labels, no training
    fitted: ClassVar[bool] = False
    #: of what is fitted, whether codes are read back as vectors, which float queries are compared with: there
    #: is a codebook and no hash head, and the methods of ``bench.types.Compression`` in place of ``fit``
    compresses: ClassVar[bool] = False
    #: of what is fitted, whether the seed draws anything: else one seed stands for all
    draws: ClassVar[bool] = True
    #: whether the first bits of its codes can be codes, too (``bits: [[16, 32]]``)
    nests: ClassVar[bool] = True
    #: in how many views a step shows its images; a batch then has so many equal parts, of the same images:
    #: the usual view, then strong ones (``bench.training.views.strong_crops``)
    views_per_step: ClassVar[int] = 1
    #: what is behind the trunk after training: a layer whose signs are the code, or a classifier that looks
    #: up the code words of its classes (``models.layers.heads``)
    deployed_head: ClassVar[Literal["linear", "code_words"]] = "linear"
    #: what a tuning searches where the grid does not say: rates, weight decay, the most important of its own
    space: ClassVar[Space] = {}
    Params: ClassVar[type[Parameters]]

    params: Any
    task: HashingTask

    def __init__(self, params: Any, task: HashingTask) -> None:
        self.params, self.task = params, task

    @classmethod
    def check(cls, bits: int) -> str | None:
        """Why this loss cannot make codes of ``bits`` bits, or None if it can."""
        return None

    @classmethod
    def check_width(cls, bits: int, width: int) -> str | None:
        """Why it cannot make them from features of so many numbers, or None if it can; of what is fitted."""
        return None

    def fit(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The hash head of a frozen trunk, of what is ``fitted``: weight (bits, width) and bias (bits,).

        Args:
            features: (n, width), of the images of the pool in the evaluation view.
        """
        ...

    @classmethod
    def check_task(cls, params: Any, task: HashingTask) -> str | None:
        """Why this loss cannot learn ``task`` with these parameters, with the cure; None if it can."""
        return None

    def trained_head(self, linear: nn.Linear) -> nn.Module:
        """What is trained behind the trunk: the hash head itself, unless something is put around it.

        A module with a method ``folded`` is deployed as what that returns after training.

        Args:
            linear: (width, bits), fresh.
        """
        return linear

    def parameters(self) -> Iterable[nn.Parameter]:
        """What the loss itself learns, beside the network; moved to the device in place."""
        return ()

    def begin_epoch(self, epoch: int) -> None:
        """Called before every epoch, from 0."""

    def terms(self, codes: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms by name for one batch; their sum is minimised.

        Args:
            codes: float (n, bits), raw output of the trained head with gradient; (n, classes) of code words.
            labels: float (n, classes) 0/1.
            index: int64 (n,) position of each image in the training set.
        """
        ...

    def summary(self) -> dict[str, Any]:
        """What a reader should know of this training, plain JSON values.

        Sentences in a list ``warnings`` go to the record's warnings.
        """
        return {}


class Metric(Protocol):
    """A metric (``bench/metrics/<name>.py``)."""

    version: ClassVar[int]
    #: ``codes``: computed from a Retrieval; ``network``: from a Deployment; ``system``: from a System
    subject: ClassVar[Subject]
    noise: ClassVar[Noise]
    #: for metrics on codes: the kind of data set they judge; None = any
    judges: ClassVar[Judge | None] = "labels"
    #: for metrics on codes: whether they also take float embeddings (``Retrieval.bits`` is 0)
    embeddings: ClassVar[bool] = False
    #: for metrics that take embeddings: whether they also take those that are read back from codes, and are
    #: stored in fewer bytes than they have (``Loss.compresses``)
    read_back: ClassVar[bool] = True
    #: for metrics on networks: whether they say what is stored of an image (``Deployment.stored_bits``)
    tells_storage: ClassVar[bool] = False
    #: for metrics on codes: whether they need ``Retrieval.features``, those of a frozen trunk
    needs_features: ClassVar[bool] = False
    #: for metrics on codes that labels judge: whether they are taken on each side, too, where classes are
    #: unseen, under names that end in ``[seen]``, ``[unseen]``, ``[seen_in_all]`` and ``[unseen_in_all]``
    by_side: ClassVar[bool] = False
    #: what readers are told of the names it gives, an entry for each; results keep it, so that they are read
    #: without the plug-in. Those of the suite's own metrics stand in ``bench/results/entries.py``
    entries: ClassVar[tuple[MetricEntry, ...]] = ()
    Params: ClassVar[type[Parameters]]

    params: Any

    def __init__(self, params: Any) -> None:
        """Called before any work is done.

        Raises:
            MissingPackageError: an optional package is not installed.
        """
        self.params = params

    @classmethod
    def check(cls, params: Any, bits: int, database: int | None) -> str | None:
        """Why codes of ``bits`` (0: embeddings) cannot be measured so, with the cure; None if they can.

        For metrics on codes, asked before any work; ``database`` is the number of images, None while unknown.
        """
        return None

    def compute(self, subject: Any) -> Measurement:
        """Measure ``subject``, a Retrieval, Deployment or System as the class attribute says."""
        ...
