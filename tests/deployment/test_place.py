"""Where bundles are put: whole or not at all, and what is there already is not lost."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from bench.deployment.bundle import Bundle
from bench.deployment.place import check_place, packed, put_in_place
from bench.errors import UsageError
from tests.deployment.bundles import write_bundle


def put(folder: Path, replace: bool = False, name: str = "") -> None:
    with put_in_place(folder, replace) as place:
        write_bundle(place)
        (place / "CARD.md").write_text(name)


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder(tmp_path):
    check_place(tmp_path / "a/b", replace=False, zipped=True)
    put(tmp_path / "a/b")
    assert there(tmp_path / "a") == ["b"]
    assert packed(tmp_path / "a/b") == tmp_path / "a/b.zip"
    shutil.unpack_archive(tmp_path / "a/b.zip", tmp_path / "out")
    assert Bundle.read(tmp_path / "out/b") == Bundle.read(tmp_path / "a/b")


def test_codes_beside_the_model_are_not_lost(tmp_path):
    """The card has people put them there, and they cost hours."""
    write_bundle(tmp_path)
    check_place(tmp_path, replace=True)
    (tmp_path / "codes.npz").write_text("hours")
    with pytest.raises(UsageError, match=r"holds codes.npz, which is not of the bundle and would be lost"):
        check_place(tmp_path, replace=True)


def test_a_bundle_json_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "bundle.json").write_text('{"entry": "main.js"}')
    with pytest.raises(UsageError, match="no whole bundle, which is not replaced; move it away"):
        check_place(tmp_path, replace=True)


def test_a_zip_file_that_is_there_is_not_replaced_unasked(tmp_path):
    (tmp_path / "photos.zip").write_text("precious")
    with pytest.raises(UsageError, match=r"photos.zip: there already"):
        check_place(tmp_path / "photos", replace=False, zipped=True)
    check_place(tmp_path / "photos", replace=True, zipped=True)
    check_place(tmp_path / "photos", replace=False)


@pytest.mark.parametrize("replace", [False, True])
def test_a_link_stays_one(tmp_path, replace):
    (tmp_path / "disk").mkdir()
    (tmp_path / "b").symlink_to("disk")
    if replace:
        write_bundle(tmp_path / "disk")
    put(tmp_path / "b", replace, "new")
    assert there(tmp_path) == ["b", "disk"]
    assert (tmp_path / "b").is_symlink()
    assert (tmp_path / "disk/CARD.md").read_text() == "new"


def test_what_has_come_in_the_meantime_stays(tmp_path):
    with pytest.raises(UsageError, match="a bundle is there"), put_in_place(tmp_path / "b", False) as place:
        write_bundle(place)
        write_bundle(tmp_path / "b")
        (tmp_path / "b/CARD.md").write_text("first")
    assert there(tmp_path) == ["b"]
    assert (tmp_path / "b/CARD.md").read_text() == "first"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), SafetensorError("I/O error: No space left")]
)
def test_a_full_disk_is_no_defect(tmp_path, error):
    with pytest.raises(UsageError, match="No space left.*more room"), put_in_place(tmp_path / "b", False):
        raise error
    assert not list(tmp_path.iterdir())
