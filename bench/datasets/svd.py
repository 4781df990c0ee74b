"""SVD: short videos, of which the near-duplicates of a query are to be found; images are their frames.

Q.-Y. Jiang et al., "SVD: A Large-Scale Short Video Dataset for Near-Duplicate Video Retrieval", ICCV 2019.
Training images are the frames of all videos in the train ground truth. Frames are read, not video files:

    <root>/SVD/metadata/{query-id,labeled-data-id,unlabeled-data-id,train_groundtruth,test_groundtruth}
    <root>/SVD/frames/<video id without .mp4>/*.jpg

    dataset: [{name: svd, params: {max_frames: 20}}]
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from bench.data.finding import Finder
from bench.data.image_files import ImageFiles
from bench.data.image_lists import PartedImages, UndividedSplits, held_out
from bench.data.list_text import quoted
from bench.data.skipping import FileImages, readable
from bench.data.video_lists import ids, judged_pairs
from bench.errors import DataError, MissingDataError
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, FrameTruth, ImageSet, Judge, Side, Splits

IDS = ("metadata/query-id", "metadata/labeled-data-id", "metadata/unlabeled-data-id")
JUDGED = ("metadata/train_groundtruth", "metadata/test_groundtruth")
EXTRACT = "extract up to 60 frames of every video, evenly spread, to frames/<video id>/*.jpg"


@DATASETS.register
class Svd(Dataset):
    """Test queries, the candidates judged for them, and all unlabelled videos; training has no labels."""

    version = 1
    default_k = None
    judged_by: ClassVar[Judge] = "frames"
    labelled = False

    class Params(UndividedSplits, FileImages):
        """Which frames are used, and at which size; validation images are frames of whole videos."""

        max_frames: int = Field(60, ge=1, le=10_000, description="frames of a video, evenly spread")
        side: Side = Field(256, description="pixels; the shorter side is resized, the centre cut")

    def prepare(self, root: Path) -> str:
        """Check that the lists and the frames of all videos are there; nothing is downloaded."""
        images = self.load(root)
        counts = ", ".join(f"{len(index):,} {part}" for part, index in images.parts.items())
        return f"svd: frames of {counts} in {_folder(root)}"

    def load(self, root: Path) -> PartedImages:
        """Read the lists and the names of the frames; frames stay in their files."""
        folder = _folder(root)
        parts, judged = _videos(folder)
        number = {video: place for place, video in enumerate(dict.fromkeys(chain(*parts.values())))}
        frames = _frames(folder / "frames", list(number), self.params.max_frames, finder := Finder())
        videos = np.repeat(np.arange(len(number)), [len(one) for one in frames])
        chosen = {part: [number[video] for video in some] for part, some in parts.items()}
        truth = {
            number[query]: {number[video]: answer for video, answer in one.items() if video in number}
            for query, one in judged.items()
            if query in number
        }
        pixels = ImageFiles(
            tuple(chain(*frames)),
            self.params.side,
            left_out=finder.left_out,
            unreadable=self.params.unreadable,
        )
        images = PartedImages(
            pixels,
            np.zeros(len(videos), np.int64),  # no labels: one class for all
            1,
            Augmentation(evaluation_crop=224 / 256),
            FrameTruth(videos, truth),
            {part: np.flatnonzero(np.isin(videos, some)) for part, some in chosen.items()},
        )
        return readable(images)

    def splits(self, images: ImageSet) -> Splits:
        """Parts as published; a share of the training videos, with all their frames, is validation."""
        assert isinstance(images, PartedImages)
        assert isinstance(images.truth, FrameTruth)
        p, train = self.params, images.parts["train"]
        videos = np.random.default_rng(p.split_seed).permutation(np.unique(images.truth.videos[train]))
        held = np.isin(images.truth.videos[train], videos[: held_out(p.val_share, len(videos))])
        protocol = f"svd-f{p.max_frames}-v{p.val_share:g}-s{p.split_seed}"
        return Splits(protocol, images.parts["query"], train[~held], train[held], images.parts["database"])


def _folder(root: Path) -> Path:
    for folder in (root / "SVD", root / "svd", root):
        if all((folder / name).exists() for name in (*IDS, *JUDGED, "frames")):
            return folder
    raise MissingDataError(
        f"svd: {', '.join((*IDS, *JUDGED))} and frames are not in {root / 'SVD'}; fetch SVD (see "
        f"https://svdbase.github.io) and {EXTRACT}"
    )


def _videos(folder: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, bool]]]:
    """The videos of each part, and what was judged in any of them, see ``judged_pairs``."""
    queries, labelled, unlabelled = (ids(folder / name) for name in IDS)
    train, test = (judged_pairs(folder / name) for name in JUDGED)
    strange = [query for query in test if query not in queries]
    if strange or not test:
        what = f"query {quoted(strange[0])} is not in query-id" if strange else "no queries"
        raise DataError(f"{folder / JUDGED[1]}: {what}; fetch the lists again")
    learnt = dict.fromkeys(v for query, one in train.items() for v in (query, *one) if v not in test)
    distractors = (video for video in unlabelled if video not in labelled and video not in queries)
    candidates = (video for one in test.values() for video in one if video not in test)
    searched = dict.fromkeys([*candidates, *distractors])
    return {"query": list(test), "train": list(learnt), "database": list(searched)}, train | test


def _frames(folder: Path, videos: list[str], most: int, finder: Finder) -> list[list[Path]]:
    """At most ``most`` frames of each video, evenly spread."""
    found = []
    for video in videos:
        paths = finder.images(folder / video, [".jpg"], deep=False)
        chosen = np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int)
        found.append([paths[place] for place in chosen])
    empty = [video for video, paths in zip(videos, found, strict=True) if not paths]
    if empty:
        raise MissingDataError(
            f"svd: {len(empty)} of {len(videos)} videos have no frames in {folder} (first: "
            f"{quoted(empty[0])}); {EXTRACT}"
        )
    return found
