"""Folders of photos become codes: the right ones, whatever interrupts, and however they are computed."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.fitting import fitted
from bench.deployment.code_files import CodeFile
from bench.deployment.encode import Progress, encode
from bench.deployment.encoder import Encoder
from bench.deployment.images import open_rgb
from bench.errors import UsageError
from bench.hamming import first_bits
from tests.deployment.bundles import write_bundle
from tests.deployment.photos import write_photos

ROOT = Path(__file__).parents[2]


def one_by_one(bundle, folder, names, upright=True):
    """The codes of photos by the plain loop: open, fit, encode, one after the other."""
    to, encoder = bundle.preprocessing, Encoder(bundle, 1)
    codes = {}
    for name in names:
        image = fitted(open_rgb(str(folder / name), upright), to.height, to.width, to.fit)
        codes[str(folder / name)] = encoder(np.asarray(image)[None]).values[0].tobytes()
    return codes


def content(path):
    """Path -> bytes of the code."""
    file = CodeFile(path)
    names = [name for block in file.blocks("paths") for name in block.tolist()]
    return dict(zip(names, (code.tobytes() for code in file.values()), strict=True))


@pytest.mark.parametrize("upright", [True, False])
def test_codes_are_those_of_the_plain_loop(tmp_path, bundle, photos, upright):
    folder, made = photos
    done = encode(bundle, [folder], tmp_path / "codes.npz", threads=2, upright=upright)
    assert content(tmp_path / "codes.npz") == one_by_one(bundle, folder, made.readable, upright)
    assert [os.path.relpath(bad.path, folder) for bad in done.unreadable] == made.unreadable
    assert (done.found, done.encoded, done.rows, done.left_out.hidden) == (150, 148, 148, 2)
    assert CodeFile(tmp_path / "codes.npz").source.upright == upright
    assert len(set(content(tmp_path / "codes.npz").values())) > 80


@pytest.mark.slow
def test_a_folder_of_1500_photos(tmp_path, bundle):
    made = write_photos(tmp_path / "photos", 1500)
    done = encode(bundle, [tmp_path / "photos"], tmp_path / "codes.npz", threads=2)
    assert (done.found, done.rows, len(done.unreadable)) == (1500, 1498, 2)
    assert content(tmp_path / "codes.npz") == one_by_one(bundle, tmp_path / "photos", made.readable)


def sizes(path):
    """Path -> width and height."""
    columns = (np.concatenate(list(CodeFile(path).blocks(name))).tolist() for name in ("paths", "sizes"))
    return dict(zip(*columns, strict=True))


def test_turned_photos_are_wide_where_they_were_high(tmp_path, bundle, photos):
    upright, stored = tmp_path / "upright.npz", tmp_path / "stored.npz"
    encode(bundle, [photos[0]], upright, threads=1)
    encode(bundle, [photos[0]], stored, threads=1, upright=False)
    turned = {path for path in sizes(upright) if Path(path).stem.split()[1] in {"turned", "mirrored"}}
    assert turned
    for path, size in sizes(upright).items():
        assert sizes(stored)[path] == (size[::-1] if path in turned else size)
    assert all(content(stored)[path] == code for path, code in content(upright).items() if path not in turned)


@pytest.mark.parametrize(("bits", "dimensions"), [(32, 32), (0, 16)])
def test_neither_batches_nor_threads_change_a_byte(tmp_path, photos, bits, dimensions):
    folder, _ = photos
    bundle = write_bundle(tmp_path / "bundle", bits, dimensions)
    files = set()
    for batch, threads in ((1, 1), (2, 3), (7, 1), (32, 2), (64, 8), (1000, 2)):
        out = tmp_path / f"{batch}.npz"
        encode(bundle, [folder], out, threads=threads, batch=batch)
        files.add(out.read_bytes())
    assert len(files) == 1


def test_sizes_and_files_are_noted(tmp_path, bundle, photos):
    folder, _ = photos
    encode(bundle, [folder], tmp_path / "codes.npz", threads=1)
    file = CodeFile(tmp_path / "codes.npz")
    columns = (np.concatenate(list(file.blocks(name))) for name in ("paths", "sizes", "file_bytes", "mtimes"))
    for path, size, file_bytes, mtime in zip(*columns, strict=True):
        with Image.open(path) as image:
            assert sorted(image.size) == sorted(size)
        assert (os.stat(path).st_size, os.stat(path).st_mtime_ns) == (file_bytes, mtime)


@pytest.fixture
def album(tmp_path, photos):
    """A copy of the photos that a test may change."""
    return Path(shutil.copytree(photos[0], tmp_path / "album"))


def test_more_images_are_appended_and_no_other_is_read_again(tmp_path, bundle, album, photos):
    out, made = tmp_path / "codes.npz", photos[1]
    first = encode(bundle, [album / "album 0", album / "album 1"], out, threads=2)
    before = list(content(out).items())
    again = encode(bundle, [album / "album 0"], out, threads=2)
    assert (again.encoded, again.rows) == (0, first.rows)
    assert list(content(out).items()) == before
    whole = encode(bundle, [album], out, threads=2)
    assert whole.encoded == 148 - first.encoded
    assert list(content(out).items())[: len(before)] == before
    assert content(out) == one_by_one(bundle, album, made.readable)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["album", "codes.npz"]


def test_an_image_that_changed_is_encoded_anew_and_one_that_broke_goes(tmp_path, bundle, album, photos):
    out, readable = tmp_path / "codes.npz", photos[1].readable
    encode(bundle, [album], out, threads=2)
    changed, broken, removed = readable[5], readable[9], readable[20]
    Image.new("RGB", (30, 30), (250, 3, 9)).save(album / changed)
    (album / broken).write_bytes(b"broken")
    (album / removed).unlink()
    done = encode(bundle, [album], out, threads=2)
    assert (done.encoded, len(done.unreadable), done.rows) == (1, 3, 147)
    found = content(out)
    assert str(album / broken) not in found
    assert str(album / removed) in found  # who encodes a part of a collection means no other to go
    assert found.pop(str(album / removed))
    assert found == one_by_one(bundle, album, [name for name in readable if name not in {broken, removed}])


def test_an_image_given_twice_has_one_row(tmp_path, bundle, album, photos, monkeypatch):
    name = photos[1].readable[0]
    monkeypatch.chdir(album)
    given = [Path(name), album / name, album, Path()]
    assert encode(bundle, given, tmp_path / "codes.npz", threads=2).rows == 148


def test_progress_is_told_after_every_batch(tmp_path, bundle, photos):
    told = list[tuple[int, int]]()

    def tell(progress: Progress) -> None:
        told.append((progress.encoded, progress.found))

    encode(bundle, [photos[0]], tmp_path / "codes.npz", threads=2, batch=20, tell=tell)
    assert told == [(min(148, 20 * count), 150) for count in range(1, 9)]


def test_where_nothing_is_to_be_had_nothing_is_written(tmp_path, bundle):
    (tmp_path / "in" / ".hidden").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"no images there; 1 hidden files and folders were passed over"):
        encode(bundle, [tmp_path / "in"], tmp_path / "codes.npz", threads=1)
    (tmp_path / "in" / "a.png").write_bytes(b"")
    assert encode(bundle, [tmp_path / "in"], tmp_path / "codes.npz", threads=1).rows == 0
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def start(bundle, album, out, pause, before_the_end):
    slowly = [sys.executable, "-m", "tests.deployment.encode_slowly", str(pause), str(before_the_end)]
    arguments = ["encode", bundle.folder, album, "--out", out, "--batch", "8", "--threads", "2"]
    return subprocess.Popen([*slowly, *map(str, arguments)], cwd=ROOT, stderr=subprocess.DEVNULL)


def wait_for(condition, process):
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "it ended before it was stopped"
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_what_is_killed_goes_on_and_ends_as_if_it_never_was(tmp_path, bundle, photos, kill):
    """Stopped after the first part, after more, and when all but the last step is done."""
    encode(bundle, [photos[0]], tmp_path / "whole.npz", threads=1)
    out = tmp_path / "codes.npz"
    parts = out.with_name("codes.npz.unfinished")

    def stop(condition, pause, before_the_end=0.0):
        process = start(bundle, photos[0], out, pause, before_the_end)
        wait_for(condition, process)
        process.send_signal(kill)
        process.wait(60)
        assert process.returncode == (-signal.SIGKILL if kill == signal.SIGKILL else 130)
        assert not out.exists()

    for least in (1, 4):
        stop(lambda least=least: len(list(parts.glob("*.npz"))) >= least, 0.05)
    stop((parts / "whole").exists, 0.0, 30.0)
    done = encode(bundle, [photos[0]], out, threads=2)
    assert done.encoded < 148
    assert len(done.unreadable) == 2
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not parts.exists()


@pytest.mark.slow
def test_a_file_that_is_there_stays_whole_while_more_is_appended(tmp_path, bundle, photos):
    """Killed at many moments while it appends, the old file can be read at each of them."""
    out = tmp_path / "codes.npz"
    encode(bundle, [photos[0] / "album 0"], out, threads=1)
    old = content(out)
    for delay in np.linspace(0.2, 3, 15):
        process = start(bundle, photos[0], out, 0.05, 0.2)
        time.sleep(delay)
        process.kill()
        process.wait(60)
        found = content(out)
        assert list(found.items())[: len(old)] == list(old.items())
    encode(bundle, [photos[0]], out, threads=1)
    assert len(content(out)) == 148


@pytest.mark.parametrize("bits", [8, 20, 32])
def test_the_first_bits_are_codes_where_the_bundle_says_so(tmp_path, bundle, photos, bits):
    several = dataclasses.replace(bundle, lengths=(8, 20, 32))
    encode(bundle, [photos[0]], tmp_path / "all.npz", threads=2)
    encode(several, [photos[0]], tmp_path / "some.npz", threads=2, bits=bits)
    whole, cut = CodeFile(tmp_path / "all.npz"), CodeFile(tmp_path / "some.npz")
    assert cut.source.bits == bits
    np.testing.assert_array_equal(cut.values(), first_bits(whole.values(), bits))


def test_other_lengths_are_refused(tmp_path, bundle, embeddings, photos):
    several = dataclasses.replace(bundle, lengths=(8, 20, 32))
    for one, message in (
        (several, "makes codes of 32 bits, of which the first 8, 20 are codes, too, not of 9"),
        (bundle, "makes codes of 32 bits alone, not of 9"),
        (embeddings, "makes embeddings, which have no --bits"),
    ):
        with pytest.raises(UsageError, match=message):
            encode(one, [photos[0]], tmp_path / "codes.npz", threads=1, bits=9)
    assert not (tmp_path / "codes.npz").exists()
