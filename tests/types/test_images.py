"""Images of a data set: which of them answer another one, as labels or the ground truth have it."""

from __future__ import annotations

import numpy as np

from bench.types import CameraTruth, FrameTruth, ImageSet, RevisitedTruth

IMAGES = 40


def image_set(truth=None, labels=None):
    pixels = np.zeros((IMAGES, 1, 2, 2), np.uint8)
    return ImageSet(pixels, np.arange(IMAGES) % 4 if labels is None else labels, 4, truth=truth)


def answers(images, query, results):
    return [images.answers(query, result) for result in results]


def test_labels_of_several_kinds_share_at_least_one():
    labels = np.zeros((IMAGES, 3), np.uint8)
    labels[0, :2] = labels[1, 1:] = 1
    labels[2, 2] = 1
    assert answers(image_set(labels=labels), 0, (1, 2)) == [True, False]


def test_one_label_says_all_without_a_truth():
    assert answers(image_set(), 0, (4, 5)) == [True, False]


def test_landmarks_ask_for_easy_and_hard_and_look_away_from_junk():
    some = RevisitedTruth(easy={0: np.array([1])}, hard={0: np.array([2])}, junk={0: np.array([3])})
    assert answers(image_set(some), 0, (1, 2, 3, 4)) == [True, True, None, False]


def test_identities_look_away_from_the_own_camera():
    same_camera = CameraTruth(np.arange(IMAGES) // 8)
    assert answers(image_set(same_camera), 0, (4, 8, 9)) == [None, True, False]


def test_frames_answer_where_their_videos_are_near_duplicates():
    videos = FrameTruth(np.arange(IMAGES) // 2, judged={0: {3: True, 4: False}})
    assert answers(image_set(videos), 1, (6, 8, 10)) == [True, False, False]


def test_answers_are_plain_values():
    """They are written as JSON."""
    truths = [
        None,
        RevisitedTruth({0: np.array([1])}, {}, {}),
        CameraTruth(np.arange(IMAGES)),
        FrameTruth(np.arange(IMAGES), {0: {1: True}}),
    ]
    found = [answer for truth in truths for answer in answers(image_set(truth), 0, (1, 4))]
    assert {type(answer) for answer in found} == {bool}
