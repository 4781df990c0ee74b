"""Pixels on their way to the device: the right ones, in order, from memory and from files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.contents import THREADS
from bench.data.image_files import ImageFiles
from bench.errors import DataError
from bench.training import inputs
from bench.training.inputs import PixelSource, every

CPU = torch.device("cpu")
ORDER = [np.array([3, 1]), np.array([7, 7, 0]), np.array([2])]


@pytest.fixture
def files(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for number in range(9):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(generator.integers(256, size=(12, 12, 3), dtype=np.uint8)).save(paths[-1])
    return ImageFiles(tuple(paths), side=8)


def ask(source):
    return list(source.stream(("batch", chosen) for chosen in ORDER))


@pytest.mark.parametrize("workers", [0, 2])
def test_files_arrive_in_order_whoever_decodes_them(files, workers):
    found = ask(PixelSource(files, CPU, workers))
    assert [tag for tag, _ in found] == ["batch"] * 3
    for (_, pixels), chosen in zip(found, ORDER, strict=True):
        assert pixels.dtype == torch.uint8
        np.testing.assert_array_equal(pixels.numpy(), files[chosen])


class Watched(ImageFiles):
    """Tells how many threads would have read a batch."""

    def __getitem__(self, indices):
        return np.full((len(indices), *self.shape[1:]), self.threads, np.uint8)


@pytest.mark.parametrize(("workers", "threads"), [(0, THREADS), (2, 1)])
def test_of_several_workers_none_has_threads_of_its_own(files, workers, threads):
    watched = Watched(files.paths, side=8)
    assert {int(pixels.max()) for _, pixels in ask(PixelSource(watched, CPU, workers))} == {threads}


def test_a_set_in_memory_is_cut_from_its_array(files):
    array = files[np.arange(9)]
    for (_, pixels), chosen in zip(ask(PixelSource(array, CPU, 2)), ORDER, strict=True):
        np.testing.assert_array_equal(pixels.numpy(), array[chosen])


def test_reading_ahead_keeps_tags_and_images_together(files):
    read: list[int] = []

    def asked():
        for number in range(20):
            read.append(number)
            yield number, np.array([number % 9])

    stream = PixelSource(files, CPU, workers=1).stream(asked())
    tag, pixels = next(stream)
    assert tag == 0
    assert len(read) > 1
    rest = list(stream)
    assert [tag for tag, _ in rest] == list(range(1, 20))
    for number, pixels in rest:
        np.testing.assert_array_equal(pixels[0].numpy(), files[np.array([number % 9])][0])


def test_reading_draws_nothing_from_the_generator_of_the_training(files):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    ask(PixelSource(files, CPU, workers=1))
    torch.testing.assert_close(torch.rand(2), expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_file_is_one_plain_line(files, workers):
    files.paths[7].write_bytes(b"not an image")
    with pytest.raises(DataError) as caught:
        ask(PixelSource(files, CPU, workers))
    assert str(caught.value).startswith(f"{files.paths[7]}: not a readable image")
    assert "\n" not in str(caught.value)


def test_workers_never_fill_the_shared_memory(files, monkeypatch):
    source = PixelSource(files, CPU, workers=4)
    monkeypatch.setattr(inputs, "_shared_memory", lambda: 64e6)
    assert source._readers(1_000_000) == (4, 4)
    assert source._readers(4_000_000) == (4, 2)
    assert source._readers(12_000_000) == (2, 1)
    assert source._readers(40_000_000) == (0, 0)  # threads of this process read, and nothing is lost
    monkeypatch.setattr(inputs, "_shared_memory", lambda: 0.0)
    assert [tag for tag, _ in ask(source)] == ["batch"] * 3
    assert PixelSource(files, CPU, workers=96)._readers(1) == (0, 0)


def test_many_cores_are_not_all_put_to_reading(files, monkeypatch):
    monkeypatch.setattr(inputs, "_shared_memory", lambda: 1 << 62)
    assert PixelSource(files, CPU, workers=96)._readers(12_000_000) == (
        inputs.MOST_WORKERS,
        inputs.READ_AHEAD,
    )


def test_nothing_asked_is_nothing_read(files):
    assert list(PixelSource(files, CPU, workers=2).stream([])) == []


def test_every_image_once():
    found = [chosen.tolist() for _, chosen in every(np.array([5, 4, 9, 8, 7]), 2)]
    assert found == [[5, 4], [9, 8], [7]]


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_gpu_gets_the_same_pixels(files, monkeypatch, share):
    monkeypatch.setattr("bench.training.inputs.RESIDENT_SHARE", share)
    array = files[np.arange(9)]
    source = PixelSource(array, torch.device("cuda"), 0)
    for (_, pixels), chosen in zip(ask(source), ORDER, strict=True):
        assert pixels.device.type == "cuda"
        np.testing.assert_array_equal(pixels.cpu().numpy(), array[chosen])


@pytest.mark.gpu
@pytest.mark.parametrize("workers", [0, 2])
def test_a_gpu_gets_files_in_order_whoever_decodes_them(files, workers):
    for (_, pixels), chosen in zip(
        ask(PixelSource(files, torch.device("cuda"), workers)), ORDER, strict=True
    ):
        assert pixels.device.type == "cuda"
        np.testing.assert_array_equal(pixels.cpu().numpy(), files[chosen])
