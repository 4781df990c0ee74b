"""The embedded digits are those of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.datasets.digits import Digits


def test_images_and_labels_are_those_of_load_digits():
    from sklearn.datasets import load_digits

    images, library = Digits(Digits.Params()).load(Path()), load_digits()
    np.testing.assert_array_equal(images.labels, library.target)
    np.testing.assert_allclose(images.pixels[:, 0] / 255 * 16, library.images, atol=0.04)
