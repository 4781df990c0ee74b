"""One cache for several users, and a store in which somebody else has put something."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.storage.permissions import as_its_folder
from bench.storage.store import Store

#: Numbers of a user and a group that nobody has.
USER, GROUP = 54321, 54322


@pytest.fixture
def common():
    """A folder that other users can enter, which is not so of pytest's."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can be somebody else for a while")
    before = os.umask(0o022)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        os.umask(before)
        shutil.rmtree(folder)


@contextlib.contextmanager
def somebody_else(group=0):
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(group or USER)
    os.seteuid(USER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def make(store, name):
    folder = store.path("features", name, f"{ord(name):064x}")
    about = {"kind": "features", "key": f"{ord(name):064x}"}
    with store.lock(folder), store.write(folder, about) as (temporary, _):
        (store.partial(folder) / "rows").write_bytes(b"1")
        (temporary / "data").write_bytes(name.encode())
    return folder


def test_what_another_user_has_made_is_read_and_the_cure_is_named(common):
    one = make(Store(common), "a")
    with somebody_else():
        store = Store(common)
        assert store.verify(one) is not None
        with pytest.raises(UsageError) as told:
            make(store, "b")
    text = str(told.value)
    assert text.startswith(f"{common}/claims/")
    assert "cannot write (Permission denied); it is root's: set BENCH_CACHE to a folder of your own" in text
    assert text.endswith(f"chgrp -R GROUP {common} && chmod -R g+rwXs {common}")


def test_a_group_shares_what_its_members_make(common):
    os.chown(common, 0, GROUP)
    common.chmod(0o2775)
    made = []
    with as_its_folder(common):
        made.append(make(Store(common), "a"))
    with somebody_else(GROUP), as_its_folder(common):
        made.append(make(Store(common), "b"))
        (made[0] / "data").write_bytes(b"damaged")
        assert Store(common).verify(made[0]) is None  # set aside, as its maker would
        made.append(make(Store(common), "a"))
    with as_its_folder(common):
        made.append(make(Store(common), "c"))
        assert all(Store(common).verify(folder) for folder in made)
    for path in common.rglob("*"):
        assert path.stat().st_gid == GROUP
        assert path.stat().st_mode & stat.S_IWGRP
    assert os.umask(0o022) == 0o022


def test_whoever_may_not_write_ends_the_run_and_fails_no_cell(tiny, monkeypatch, folder):
    from bench.stages import networks

    def forbidden(*_):
        raise PermissionError(13, "Permission denied", str(folder / "cache" / "finetune" / "x"))

    with monkeypatch.context() as patched:
        patched.setattr(networks, "save", forbidden)
        result = tiny("run")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(
        f"error: {folder}/cache/finetune/x: cannot write (Permission"
    )
    assert not list(Path("results/tiny").glob("records/*"))
    assert tiny("run", "--only", "method=none").code == 0


#: Seconds for which a claim that says nothing is respected.
LEASE = 1.0
#: Where something may lie that is not the store's.
PLACES = ["artifact", "index", "kind", "claims", "claim", "partial", "mine", "damaged"]


def dangling(path):
    path.symlink_to("nowhere")


def file(path):
    path.write_text("not ours")


def loop(path):
    path.symlink_to(path.name)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", [dangling, file, loop, Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("where", PLACES)
def test_foreign_objects_in_the_store(tmp_path, what, where):
    """Nothing is lost, and there is an artifact or a line that says which path is in the way."""
    store, key = Store(tmp_path / "cache", LEASE), f"{ord('a'):064x}"
    folder = store.path("features", "a", key)
    place = {
        "artifact": folder, "index": folder / "artifact.json", "kind": folder.parent,
        "claims": store.root / "claims", "claim": store.root / "claims" / folder.name,
        "partial": store.root / "partial", "mine": store.root / "partial" / f"{folder.name}.0123",
        "damaged": store.root / "damaged",
    }[where]  # fmt: skip
    place.parent.mkdir(parents=True, exist_ok=True)
    what(place)
    if where == "damaged":
        make(store, "a")
        (folder / "data").unlink()
    try:
        assert Store(store.root, LEASE).verify(folder) is None
        made = make(Store(store.root, LEASE), "a")
    except (UsageError, OSError) as error:
        told = str(error) if isinstance(error, UsageError) else str(store.unwritable(error))
        assert str(place) in told or str(folder) in told
        assert "remove it" in told
        if place.is_dir():
            place.rmdir()
        else:
            place.unlink()
        made = make(Store(store.root, LEASE), "a")
    assert Store(store.root, LEASE).verify(made) is not None
