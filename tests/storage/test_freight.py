"""Artifacts that go from store to store in pieces: the same arrives, or nothing, and little is held."""

from __future__ import annotations

import functools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.storage import freight
from bench.storage.artifact_index import INDEX
from bench.storage.freight import Carrier, Depot, content, in_flight
from bench.storage.store import Store

PLACE = ("features", "slug", "ab" * 32)
PIECE = 64


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(freight, "PIECE", PIECE)


@pytest.fixture
def stores(tmp_path):
    """Of the run, and of two nodes."""
    return [Store(tmp_path / name) for name in ("run", "node", "other")]


class Calls:
    """Carries out calls when what they return is asked for, and counts what is on its way."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot
        self.made: list[str] = []
        self.sizes: list[int] = []
        self.open = self.most = 0

    def call(self, name, *arguments, **more):
        """Begin."""
        self.open += 1
        self.most = max(self.most, self.open)
        self.made.append(name)
        self.sizes += [len(one) for one in arguments if isinstance(one, bytes)]
        return functools.partial(getattr(self._depot, name), *arguments, **more)

    def get(self, begun):
        """Wait for it."""
        self.open -= 1
        found = begun()
        self.sizes += [len(found)] if isinstance(found, bytes) else []
        return found


def carrier(store: Store, depot: Depot) -> Carrier:
    calls = Calls(depot)
    made = Carrier(store, calls.call, calls.get)
    made.calls = calls
    return made


def write(store, files, place=PLACE):
    """An artifact with ``files``."""
    folder = store.path(*place)
    with store.lock(folder), store.write(folder, {"key": place[2]}) as (temporary, _):
        for name, data in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def read(store, place=PLACE):
    """All its files."""
    folder = store.path(*place)
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def left(store):
    """What only an arrival that has not ended may leave."""
    return [path for path in store.root.rglob(".*") if path.is_dir()] + list(store.root.glob("claims/*"))


DATA = st.binary(max_size=3 * PIECE + 1) | st.sampled_from([PIECE, 2 * PIECE]).map(bytes)
FILES = st.dictionaries(st.sampled_from(["a", "b.json", "deep/c"]), DATA, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(files=FILES)
def test_what_is_fetched_or_sent_is_the_same_to_the_byte(files, tmp_path_factory):
    run, node, third = (Store(tmp_path_factory.mktemp(name)) for name in ("run", "node", "third"))
    write(run, files)
    depot = Depot(run)
    carrier(node, depot).fetch(PLACE, content(run, PLACE))
    assert read(node) == read(run)
    assert set(read(node)) == {*files, INDEX}
    sender = carrier(node, Depot(third))
    index = sender.send("t", PLACE, fresh=False)
    assert index == run.index(run.path(*PLACE)) == third.verify(third.path(*PLACE))
    assert read(third) == read(run)
    assert max(sender.calls.sizes, default=0) <= PIECE
    assert not left(node)
    assert not left(third)


def test_no_more_pieces_are_on_their_way_than_stated(stores):
    run, node, other = stores
    write(run, {"large": bytes(range(256)) * 10})
    fetching = carrier(node, Depot(run))
    fetching.fetch(PLACE, content(run, PLACE))
    assert fetching.calls.made.count("read") == 40
    assert fetching.calls.most == freight.IN_FLIGHT
    sending = carrier(node, Depot(other))
    sending.send("t", PLACE, fresh=False)
    assert sending.calls.made.count("write") == 40
    assert sending.calls.most == freight.IN_FLIGHT
    begun = []
    for taken, _ in enumerate(in_flight(functools.partial(begun.append, one) for one in range(9))):
        assert len(begun) - taken <= freight.IN_FLIGHT


def test_what_is_there_is_not_carried_again(stores):
    run, node, _ = stores
    write(run, {"a": b"1"})
    first = carrier(node, Depot(run))
    first.fetch(PLACE, content(run, PLACE))
    first.calls.made.clear()
    first.fetch(PLACE, content(run, PLACE))
    assert first.calls.made == []
    first.send("t", PLACE, fresh=False)
    first.send("t", PLACE, fresh=True)
    assert first.calls.made == ["begin", "begin"]
    # One folder that both see is no other store.
    shared = carrier(Store(run.root), Depot(run))
    shared.fetch(PLACE, content(run, PLACE))
    shared.send("t", PLACE, fresh=True)
    assert shared.calls.made == ["begin"]


def test_a_node_takes_what_the_run_has_and_the_run_keeps_what_it_has(stores):
    run, node, _ = stores
    write(run, {"a": b"of the run"})
    write(node, {"a": b"of the node"})
    assert carrier(node, Depot(run)).send("t", PLACE, fresh=False) == run.index(run.path(*PLACE))
    assert read(run)["a"] == b"of the run"
    carrier(node, Depot(run)).fetch(PLACE, content(run, PLACE))
    assert read(node)["a"] == b"of the run"
    write(node, {"a": b"made anew"})
    carrier(node, Depot(run)).send("t", PLACE, fresh=True)
    assert read(run)["a"] == b"made anew"


@pytest.mark.parametrize("way", ["fetch", "send"])
def test_what_was_changed_on_its_way_is_refused_and_leaves_nothing(stores, way):
    run, node, _ = stores
    write(run if way == "fetch" else node, {"a": bytes(200)})

    class Damaging(Depot):
        def read(self, place, name, offset, size):
            return b"!" + super().read(place, name, offset, size)[1:]

        def write(self, ticket, name, offset, data):
            super().write(ticket, name, offset, b"!" + data[1:])

    carrying = carrier(node, Damaging(run))
    with pytest.raises(OSError, match="what has arrived is not what was sent"):
        if way == "fetch":
            carrying.fetch(PLACE, content(run, PLACE))
        else:
            carrying.send("t", PLACE, fresh=False)
    for store in (run, node):
        assert not left(store)
    assert not (node if way == "fetch" else run).path(*PLACE).exists()


def test_a_damaged_artifact_of_a_node_is_fetched_again(stores):
    run, node, _ = stores
    write(run, {"a": b"right"})
    carrier(node, Depot(run)).fetch(PLACE, content(run, PLACE))
    (node.path(*PLACE) / "a").write_bytes(b"wrong")
    carrier(Store(node.root), Depot(run)).fetch(PLACE, content(run, PLACE))
    assert read(node)["a"] == b"right"


def test_tasks_of_one_node_fetch_once(stores):
    run, node, _ = stores
    write(run, {"a": bytes(100 * PIECE)})
    lock, reads = threading.Lock(), []

    class Counting(Depot):
        def read(self, place, name, offset, size):
            with lock:
                reads.append(offset)
            return super().read(place, name, offset, size)

    depot, text = Counting(run), content(run, PLACE)

    def fetch(_):
        calls = Calls(depot)
        Carrier(Store(node.root), calls.call, calls.get).fetch(PLACE, text)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fetch, range(4)))
    assert len(reads) == 100
    assert read(node) == read(run)
    assert not left(node)


def test_an_attempt_that_was_thought_dead_does_no_harm(stores):
    """Both have begun to send: the second one takes the place, and the first one finds it taken."""
    run, node, other = stores
    for store in (node, other):
        write(store, {"a": bytes(3 * PIECE)})
    depot, text = Depot(run), content(node, PLACE)
    assert depot.begin("first", PLACE, text, fresh=False) is None
    depot.write("first", "a", 0, bytes(PIECE))
    second = carrier(other, depot).send("second", PLACE, fresh=False)
    assert second == run.verify(run.path(*PLACE))
    with pytest.raises(FileNotFoundError):
        depot.write("first", "a", PIECE, bytes(PIECE))
    assert carrier(node, depot).send("third", PLACE, fresh=False) == second
    depot.drop("first")
    assert not left(run)


def test_another_run_that_tidies_up_has_it_sent_again(stores):
    run, node, _ = stores
    write(node, {"a": bytes(3 * PIECE)})
    disturbed = []

    class Disturbed(Depot):
        def write(self, ticket, name, offset, data):
            if not disturbed:
                disturbed.append(ticket)
                for folder in run.path(*PLACE).parent.glob(".*"):
                    (folder / "a").unlink()
                    folder.rmdir()
            super().write(ticket, name, offset, data)

    carrier(node, Disturbed(run)).send("t", PLACE, fresh=False)
    assert read(run) == read(node)
    assert not left(run)


def test_what_is_on_its_way_goes_when_the_run_ends(stores):
    run, node, _ = stores
    write(node, {"a": bytes(3 * PIECE)})
    depot = Depot(run)
    depot.begin("t", PLACE, content(node, PLACE), fresh=False)
    depot.write("t", "a", 0, b"x")
    assert left(run)
    depot.close()
    assert not left(run)
    assert not run.path(*PLACE).exists()


def test_messages_are_kept_in_their_order_until_they_are_asked_for(stores):
    depot = Depot(stores[0])
    for number in range(3):
        depot.tell("t", number)
    assert depot.heard() == [("t", 0), ("t", 1), ("t", 2)]
    assert depot.heard() == []


def test_an_index_is_carried_as_it_is(stores):
    run, node, _ = stores
    write(run, {"a": b"1"})
    carrier(node, Depot(run)).fetch(PLACE, content(run, PLACE))
    assert content(node, PLACE) == content(run, PLACE)
    assert json.loads(content(node, PLACE))["key"] == PLACE[2]
