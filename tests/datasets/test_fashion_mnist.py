"""Fashion-MNIST from small files in the published layouts."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from bench.datasets.fashion_mnist import FILES, FashionMnist
from bench.errors import DataError, MissingDataError


def write_files(folder, *, packed=True):
    """Files of the published form with 60 + 40 images."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for count, (images, labels) in zip((60, 40), FILES, strict=True):
        pixels = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
        for name, shape, data in [
            (images, (count, 28, 28), pixels),
            (labels, (count,), np.arange(count, dtype=np.uint8) % 10),
        ]:
            content = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + data.tobytes()
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def dataset():
    return FashionMnist(FashionMnist.Params(query_per_class=2, train_per_class=4, val_per_class=1))


@pytest.mark.parametrize("layout", ["FashionMNIST/raw", "fashion-mnist", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_published_layouts_are_read(tmp_path, layout, packed):
    write_files(tmp_path / layout, packed=packed)
    images = dataset().load(tmp_path)
    assert images.pixels.shape == (100, 1, 28, 28)
    np.testing.assert_array_equal(np.bincount(images.labels), np.full(10, 10))
    parts = dataset().splits(images)
    assert [len(parts.query), len(parts.train), len(parts.val), len(parts.database)] == [20, 30, 10, 80]
    assert str(tmp_path) in dataset().prepare(tmp_path)


def test_missing_files_say_where_they_were_looked_for_and_how_to_get_them(tmp_path):
    with pytest.raises(MissingDataError, match="data prepare.*BENCH_DATA"):
        dataset().load(tmp_path)


def test_a_failed_download_is_the_same_error(tmp_path, monkeypatch):
    import torchvision.datasets

    def offline(*args, **kwargs):
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", offline)
    with pytest.raises(MissingDataError, match="no network"):
        dataset().prepare(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x00\x08\x03", b"not an idx file at all", b"\x00\x00\x08\x01\x00\x00\x00\x09abc"]
)
def test_damaged_files_are_named(tmp_path, content):
    write_files(tmp_path, packed=False)
    (tmp_path / FILES[1][1]).write_bytes(content)
    with pytest.raises(DataError, match="t10k-labels.*damaged"):
        dataset().load(tmp_path)
    (tmp_path / FILES[1][1]).unlink()
    (tmp_path / f"{FILES[1][1]}.gz").write_bytes(gzip.compress(b"\x00\x00\x08\x01\x00\x00")[:20])
    with pytest.raises(DataError, match="damaged"):
        dataset().load(tmp_path)
