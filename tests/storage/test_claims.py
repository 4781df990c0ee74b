"""Claims: one holder at a time, the dead are followed, and no machine's clock has a say."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from bench.storage import claims
from bench.storage.claims import ClaimLostError, Claims
from bench.storage.store import Store


@pytest.fixture
def shared(tmp_path):
    return Claims(tmp_path / "claims", lease=30)


def aged(shared, name, seconds):
    """Have the holder of a claim be silent since so long ago."""
    path = shared.folder / name
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def of_another_machine(shared, name):
    """Have a claim be held by a process that cannot be seen from here."""
    path = shared.folder / name
    holder = json.loads(path.read_text()) | {"machine": "other", "processes": "other", "host": "elsewhere"}
    path.write_text(json.dumps(holder))


def test_a_claim_has_one_holder_until_it_is_released(shared):
    first = shared.take("stage")
    assert first.held()
    assert shared.take("stage") is None
    assert shared.names() == {"stage"}
    first.release()
    assert shared.names() == set()
    second = shared.take("stage")
    assert second.token != first.token
    assert not first.held()
    second.release()


def test_who_is_silent_for_too_long_is_followed_and_notices(shared):
    first = shared.take("stage")
    of_another_machine(shared, "stage")
    aged(shared, "stage", 29)
    assert shared.take("stage") is None
    aged(shared, "stage", 10)
    assert not shared.alive("stage")
    second = shared.take("stage")
    assert second.doubtful  # it may be at work still
    assert not first.held()
    with pytest.raises(ClaimLostError):
        first.check()
    first.release()  # and takes nothing from who has it now
    assert second.held()
    second.release()


def test_those_that_have_died_with_a_claim_are_counted_until_one_releases_it(shared):
    for deaths in range(3):
        claim = shared.take("stage")
        assert claim.deaths == deaths
        claim._released.set()  # no more signs of life
        of_another_machine(shared, "stage")
        aged(shared, "stage", 31)
    claim = shared.take("stage")
    assert claim.deaths == 3
    claim.release()
    claim = shared.take("stage")
    assert claim.deaths == 0
    claim.release()


def test_a_claim_says_itself_how_long_its_holder_may_be_silent(shared):
    patient = Claims(shared.folder, lease=1000)
    claim = patient.take("stage")
    of_another_machine(shared, "stage")
    aged(shared, "stage", 500)
    assert shared.take("stage") is None
    claim.release()


def test_an_empty_claim_was_left_by_who_died_while_making_it(shared):
    shared.folder.mkdir()
    (shared.folder / "stage").touch()
    assert shared.take("stage") is None  # somebody may be about to write it
    aged(shared, "stage", 31)
    claim = shared.take("stage")
    assert not claim.doubtful
    claim.release()


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_clock_of_the_machine_has_no_say(shared, monkeypatch, hours):
    claim = shared.take("stage")
    of_another_machine(shared, "stage")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 3600 * hours)
    assert shared.alive("stage")
    aged(shared, "stage", 31)
    assert not shared.alive("stage")
    claim.release()


def test_signs_of_life_keep_a_claim(tmp_path):
    shared = Claims(tmp_path, lease=3)
    claim = shared.take("stage")
    of_another_machine(shared, "stage")
    began = (tmp_path / "stage").stat().st_mtime
    deadline = time.monotonic() + 30
    while (tmp_path / "stage").stat().st_mtime == began:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    claim.release()


def _hold(folder: Path, ready) -> None:
    Claims(folder, lease=1000).take("stage")
    ready.set()
    time.sleep(1000)


def test_a_process_of_this_machine_that_is_no_more_is_followed_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    shared = Claims(tmp_path, lease=1000)
    assert shared.take("stage") is None
    assert [holder.pid for holder in shared.holders()] == [process.pid]
    process.kill()
    process.join()
    claim = shared.take("stage")
    assert not claim.doubtful
    claim.release()


def test_a_process_that_was_stopped_notices_that_it_was_followed(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_stopped, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    os.kill(process.pid, signal.SIGSTOP)
    shared, deadline = Claims(tmp_path, lease=1), time.monotonic() + 60
    while (claim := shared.take("stage")) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGCONT)
    process.join(60)
    assert process.exitcode == 7
    assert claim.held()
    claim.release()


def _stopped(folder: Path, ready) -> None:
    claim = Claims(folder, lease=1).take("stage")
    ready.set()
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        time.sleep(0.05)
        try:
            claim.check()
        except ClaimLostError:
            os._exit(7)


def _count(folder: Path, rounds: int, log: Path) -> None:
    shared = Claims(folder, lease=60)
    for _ in range(rounds):
        claim = shared.wait("counter")
        number = int(log.read_text())
        log.write_text(str(number + 1))
        claim.release()


def test_who_holds_a_claim_is_alone(tmp_path):
    log = tmp_path / "number"
    log.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(tmp_path / "claims", 40, log)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert log.read_text() == "120"
    assert list((tmp_path / "claims").iterdir()) == []


def test_a_claim_that_was_taken_anew_is_given_back(shared):
    """Two find the same stale claim; the slower one gets hold of what the faster one has by then."""
    stale = shared.take("stage")
    of_another_machine(shared, "stage")
    aged(shared, "stage", 31)
    holder, judged = shared._judge(shared.folder / "stage")
    assert judged
    faster = shared.take("stage")
    claims._take_away(shared.folder / "stage", holder.token)
    assert faster.held()
    assert not stale.held()
    faster.release()


# What a store makes of it.


def test_what_was_made_without_the_claim_is_thrown_away(tmp_path):
    store, other = Store(tmp_path, lease=30), Store(tmp_path, lease=30)
    folder = store.path("encode", "x", "ab" * 32)
    with store.lock(folder):
        with pytest.raises(ClaimLostError), store.write(folder, {}) as (temporary, _):
            (temporary / "codes").write_text("of the first")
            of_another_machine(store.claims, folder.name)
            aged(store.claims, folder.name, 31)
            with other.claim(folder) as claim:
                assert claim is not None
                with other.write(folder, {}) as (theirs, _):
                    (theirs / "codes").write_text("of the second")
        assert (folder / "codes").read_text() == "of the second"
        assert store.verify(folder) is not None
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_of_two_that_rename_the_first_stays(tmp_path, monkeypatch):
    """Both were sure to hold the claim: one was stopped between looking and renaming."""
    store, other = Store(tmp_path), Store(tmp_path)
    folder = store.path("encode", "x", "ab" * 32)
    with store.write(folder, {}) as (temporary, _):
        (temporary / "codes").write_text("late")
        kept = temporary.rename(temporary.with_name("elsewhere"))
        with other.write(folder, {}) as (theirs, _):
            (theirs / "codes").write_text("first")
        kept.rename(temporary)
    assert (folder / "codes").read_text() == "first"
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def test_unfinished_work_of_who_may_live_is_copied_and_of_the_dead_taken(tmp_path):
    store, other = Store(tmp_path, lease=30), Store(tmp_path, lease=30)
    folder = store.path("features", "x", "ab" * 32)
    with store.lock(folder):
        mine = store.partial(folder)
        (mine / "rows").write_text("12")
        of_another_machine(store.claims, folder.name)
        aged(store.claims, folder.name, 31)
        with other.lock(folder):
            theirs = other.partial(folder)
            assert theirs != mine
            assert (theirs / "rows").read_text() == "12"
            with pytest.raises(ClaimLostError):
                store.partial(folder)
            assert (theirs / "rows").read_text() == "12"
    last = Store(tmp_path)
    with last.lock(folder):
        assert last.partial(folder).is_dir()
        with last.write(folder, {}):
            pass
    assert list((tmp_path / "partial").iterdir()) == []


def test_unfinished_work_that_goes_while_it_is_copied_is_begun_anew(tmp_path, monkeypatch):
    store, other = Store(tmp_path, lease=30), Store(tmp_path, lease=30)
    folder = store.path("features", "x", "ab" * 32)
    copied = shutil.copytree

    def vanishing(source: Path, to: Path) -> Path:
        (source / "rows").unlink()
        (source / "rows").symlink_to("nowhere")
        return copied(source, to)

    with store.lock(folder):
        (store.partial(folder) / "rows").write_text("12")
        of_another_machine(store.claims, folder.name)
        aged(store.claims, folder.name, 31)
        monkeypatch.setattr(shutil, "copytree", vanishing)
        with other.lock(folder):
            assert list(other.partial(folder).iterdir()) == []


def test_a_folder_of_claims_that_another_process_takes_away_is_made_again(tmp_path, monkeypatch):
    shared, made = Claims(tmp_path / "claims"), Path.mkdir
    times = iter(range(10))

    def taken_away(path: Path, *mode: object, **options: bool) -> None:
        made(path, *mode, **options)
        if next(times) < 2:
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", taken_away)
    claim = shared.take("stage")
    assert claim is not None
    claim.release()


def test_a_store_whose_artifact_is_made_anew_elsewhere_does_not_wait(tmp_path):
    store, other = Store(tmp_path), Store(tmp_path)
    folder = store.path("encode", "x", "ab" * 32)
    folder.mkdir(parents=True)  # damaged
    with other.lock(folder):
        assert store.verify(folder) is None
        assert folder.is_dir()  # who holds it sets it aside


def test_claims_of_the_dead_that_nobody_wants_are_cleared(shared):
    living, dead = shared.take("living"), shared.take("dead")
    of_another_machine(shared, "dead")
    aged(shared, "dead", 40)
    shared.clear()
    assert shared.names() == {"living"}
    assert living.held()
    assert not dead.held()
    living.release()


def test_many_claims_are_looked_at_with_one_question_about_the_time(shared, monkeypatch):
    held = [shared.take(str(number)) for number in range(5)]
    asked, now = [], Claims._now
    monkeypatch.setattr(Claims, "_now", lambda claims: asked.append(1) or now(claims))
    assert len(shared.holders()) == 5
    assert len(asked) == 1
    for claim in held:
        claim.release()


def test_a_full_disk_leaves_no_claim_that_nobody_holds(shared, monkeypatch):
    shared.folder.mkdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(claims.json, "dump", full)
        shared.take("stage")
    assert list(shared.folder.iterdir()) == []
    shared.take("stage").release()


def test_who_has_lost_a_claim_leaves_that_of_the_next_one_where_it_is(shared, monkeypatch):
    first = shared.take("stage")
    of_another_machine(shared, "stage")
    aged(shared, "stage", 40)
    second = shared.take("stage")
    renamed = []
    monkeypatch.setattr(Path, "rename", lambda path, to: renamed.append(path))
    first.release()
    monkeypatch.undo()
    assert renamed == []  # it would be gone for a moment, and its holder would give up
    assert second.held()
    second.release()
