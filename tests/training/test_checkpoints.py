"""When checkpoints are written, what they survive, and what begins anew."""

from __future__ import annotations

import contextlib
import itertools
import logging
import signal

import pytest
import torch
from torch import nn

from bench.errors import CellError
from bench.training import checkpoints, state_file
from bench.training.checkpoints import FILE, Checkpoints
from bench.training.loop import fit, seeded, shuffled
from bench.training.micro_batches import Batch, Passes
from bench.types import TrainingParameters

CPU = torch.device("cpu")
IMAGES, BATCH, EPOCHS = 40, 8, 4
STEPS = EPOCHS * (IMAGES // BATCH)


class Clock:
    """Stands in for ``time``: it goes on when somebody says so."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


class Counter:
    """Something with a state."""

    def __init__(self):
        self.count = 0

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


@pytest.fixture
def often(monkeypatch):
    """After every step."""
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_SHARE", float("inf"))


class Training:
    """A small network with dropout, from its beginning or from where ``folder`` says."""

    def __init__(self, folder, *, origin=None, net=None, keeps=None):
        self.epochs, self.images, self.keeps = [], [], keeps or {}
        self.kept = Checkpoints(folder, "training", origin)
        self.net = net
        self.at_step = self.at_end = lambda number: None
        self._steps = 0

    def __call__(self):
        settings = TrainingParameters(epochs=EPOCHS, batch_size=BATCH, lr=0.05, schedule="cosine")
        with seeded(3, CPU):
            inputs = torch.randn(IMAGES, 3, 4, 4)
            net = self.net or nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.Dropout(0.3), nn.Linear(6, 2))
            fitted = fit(
                Passes(net.train(), contextlib.nullcontext),
                [{"params": list(net.parameters())}],
                settings,
                shuffled(IMAGES, BATCH, 3),
                lambda asked: (Batch(inputs[at], self._terms) for _, at in asked),
                advance=lambda images, seconds=0.0: self.images.append((images, seconds)),
                begin_epoch=self.epochs.append,
                end_of_epoch=self._end,
                checkpoints=self.kept,
                keeps=self.keeps,
            )
        return (
            fitted.history,
            {name: value.tolist() for name, value in net.state_dict().items()},
            fitted.images,
        )

    def _terms(self, outputs):
        self._steps += 1
        self.at_step(self._steps)
        return {"square": outputs.square().mean(), "drawn": (outputs * torch.rand_like(outputs)).mean()}

    def _end(self, epoch):
        self.at_end(epoch)
        return {"epoch": epoch}


def interrupt_at(wanted):
    def at(number):
        if number == wanted:
            raise KeyboardInterrupt

    return at


def interrupted(folder, step, **more):
    training = Training(folder, **more)
    training.at_step = interrupt_at(step)
    with pytest.raises(KeyboardInterrupt):
        training()
    return training


@pytest.mark.parametrize("step", range(2, STEPS + 1))
def test_it_goes_on_from_any_step(tmp_path, often, step, caplog):
    caplog.set_level(logging.INFO, "bench")
    whole = Training(None)()
    interrupted(tmp_path, step)
    again = Training(tmp_path)
    assert again() == whole
    epoch = (step - 2) // (IMAGES // BATCH)  # of the last step that was kept
    assert again.epochs == list(range(epoch, EPOCHS))
    assert caplog.messages == [f"training goes on at epoch {epoch + 1} of {EPOCHS}"]
    (before, seconds), *now = again.images
    assert (before, seconds) == ((step - 1) * BATCH, again.kept.seconds_before)
    assert now == [(BATCH, 0.0)] * (STEPS - step + 1)


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_it_goes_on_from_the_end_of_an_epoch(tmp_path, often, epoch):
    whole = Training(None)()
    training = Training(tmp_path)
    training.at_end = interrupt_at(epoch)
    with pytest.raises(KeyboardInterrupt):
        training()
    assert Training(tmp_path)() == whole


def test_it_may_be_interrupted_again_and_again(tmp_path, often):
    whole = Training(None)()
    for _ in range(STEPS - 1):
        interrupted(tmp_path, 2)
    assert Training(tmp_path)() == whole


def test_batches_in_pieces_stay_in_pieces(tmp_path, often, caplog):
    class Scarce(nn.Module):
        """Memory is short from the fifth call to the seventh, as beside another program."""

        calls = 0

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.Dropout(0.3), nn.Linear(6, 2))

        def forward(self, inputs):
            self.calls += 1
            if self.calls == 5:
                raise torch.OutOfMemoryError
            return self.net(inputs)

    whole = Training(None, net=Scarce())()
    interrupted(tmp_path, 8, net=Scarce())
    roomy = Scarce()
    roomy.calls = 5
    assert Training(tmp_path, net=roomy)() == whole
    assert caplog.text.count("go in pieces of 4") == 2


def test_what_else_changes_is_kept(tmp_path, often):
    counter = Counter()
    training = Training(tmp_path, keeps={"counter": counter})

    def at(number):
        counter.count += 1
        interrupt_at(7)(number)

    training.at_step = at
    with pytest.raises(KeyboardInterrupt):
        training()
    again = Counter()
    Training(tmp_path, keeps={"counter": again})()
    assert again.count == 6


def test_seconds_are_those_of_all_runs(tmp_path, often, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(checkpoints, "time", clock)

    def runs(seconds, step):
        training = Training(tmp_path)

        def at(number):
            clock.now += seconds
            interrupt_at(step)(number)

        training.at_step = at
        with contextlib.suppress(KeyboardInterrupt):
            training()
        return training.kept.seconds_before

    assert runs(2.0, 4) == 0  # three steps of 2 s are kept
    assert runs(3.0, 3) == 6  # and two of 3 s
    assert runs(1.0, 0) == 12


def written(monkeypatch, cost, steps, seconds):
    """At which seconds of a training checkpoints are written that take ``cost``, and bytes of one."""
    clock, at, sizes = Clock(), [], []
    began = clock.now
    monkeypatch.setattr(checkpoints, "time", clock)

    def save(tree, path):
        at.append(round(clock.now - began, 6))
        sizes.append(state_file.size(tree))
        clock.now += cost() if callable(cost) else cost

    monkeypatch.setattr(state_file, "save", save)
    one = Checkpoints(checkpoints.Path("anywhere"), "training")
    with one.kept(Counter()) as step_done:
        for _ in range(steps):
            clock.now += seconds
            step_done()
    return at, clock.now - began


def test_small_ones_are_five_seconds_apart(monkeypatch):
    at, _ = written(monkeypatch, 0.001, 300, 0.1)
    assert at[0] == pytest.approx(5, abs=0.15)
    assert all(5.0 <= after - before <= 5.2 for before, after in itertools.pairwise(at))


@pytest.mark.parametrize("cost", [0.05, 0.3, 4.0])
def test_writing_takes_a_hundredth_of_the_time_at_most(monkeypatch, cost):
    at, took = written(monkeypatch, cost, 12_000, 0.1)
    assert len(at) > 2
    assert cost * len(at) <= 0.01 * took + 2 * cost  # one alone says little of what it costs
    assert all(after - before >= 99 * cost for before, after in itertools.pairwise(at[2:]))


def test_one_that_is_held_up_does_not_keep_the_next_one_waiting(monkeypatch):
    times = iter([0.5, *[0.01] * 3, 2.0, *[0.01] * 1000])
    at, _ = written(monkeypatch, times.__next__, 600, 0.1)
    assert all(5.0 <= after - before <= 7.2 for before, after in itertools.pairwise(at))


def test_the_first_one_waits_for_what_its_size_should_cost(monkeypatch):
    monkeypatch.setattr(Counter, "state_dict", lambda self: {"a": torch.empty(100_000_000, device="meta")})
    at, _ = written(monkeypatch, 0.8, 1000, 0.1)
    assert at[0] == pytest.approx(100 * 4e8 / checkpoints.EXPECTED_SPEED, abs=0.2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_answered_when_the_step_is_kept(tmp_path, number, caplog):
    caplog.set_level(logging.INFO, "bench")
    whole, heard = Training(None)(), []

    def answer(*_):
        heard.append((tmp_path / FILE).is_file())
        raise KeyboardInterrupt

    before = signal.signal(number, answer)
    try:
        training = Training(tmp_path)
        training.at_step = lambda step: signal.raise_signal(number) if step == 7 else None
        with pytest.raises(KeyboardInterrupt):
            training()
    finally:
        signal.signal(number, before)
    assert heard == [True]
    assert caplog.messages == ["training: a checkpoint holds how far it is"]
    again = Training(tmp_path)
    assert again() == whole
    assert len(again.images) == 1 + STEPS - 7  # no step is done again


def test_a_program_that_answers_a_signal_itself_goes_on(tmp_path):
    whole, heard = Training(None)(), []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append((tmp_path / FILE).is_file()))
    try:
        training = Training(tmp_path)
        training.at_step = lambda step: signal.raise_signal(signal.SIGUSR1) if step == 7 else None
        assert training() == whole
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [True]


def test_without_a_folder_nothing_waits(tmp_path):
    training = Training(None)
    training.at_step = lambda step: signal.raise_signal(signal.SIGINT) if step == 7 else None
    with pytest.raises(KeyboardInterrupt):
        training()
    assert training._steps == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "other"])
def test_what_is_damaged_begins_anew_and_says_so(tmp_path, often, caplog, damage):
    whole = Training(None)()
    interrupted(tmp_path, 7)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.write_bytes({"bit": bytes(content), "cut": content[:-9], "empty": b"", "other": b"{}" * 300}[damage])
    again = Training(tmp_path)
    assert again() == whole
    assert len(again.images) == STEPS
    (said,) = caplog.messages
    assert said.startswith(f"training begins anew: its checkpoint is damaged ({path}: ")


ORIGIN = {"stage": "abc", "machine or number of threads": "cpu 2", "version of torch": "2.6"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stage": "abd"}, "another stage"),
        ({"machine or number of threads": "cpu 1"}, "another machine or number of threads"),
        ({"version of torch": "2.7"}, "another version of torch"),
        ({"stage": "abd", "version of timm": "1.0"}, "another stage and another version of timm"),
    ],
)
def test_what_could_round_differently_begins_anew_and_says_why(tmp_path, often, caplog, change, what):
    interrupted(tmp_path, 7, origin=ORIGIN)
    again = Training(tmp_path, origin={**ORIGIN, **change})
    again()
    assert len(again.images) == STEPS
    assert caplog.messages == [f"training begins anew: its checkpoint is of {what}"]


def test_one_of_an_earlier_format_begins_anew(tmp_path, often, caplog, monkeypatch):
    interrupted(tmp_path, 7)
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    again = Training(tmp_path)
    again()
    assert len(again.images) == STEPS
    assert "is of another format" in caplog.text


def test_a_state_that_does_not_fit_fails_with_advice(tmp_path, often):
    interrupted(tmp_path, 7)
    other = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(CellError, match=r"(?s)cannot go on from .* .RuntimeError: .*remove it, or"):
        Training(tmp_path, net=other)()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TypeError("a set is no JSON")])
def test_one_that_cannot_be_written_is_a_warning_and_no_end(tmp_path, often, caplog, monkeypatch, error):
    whole = Training(None)()

    def full(tree, path):
        raise error

    monkeypatch.setattr(state_file, "save", full)
    caplog.set_level(logging.WARNING, "bench")
    assert Training(tmp_path)() == whole
    assert caplog.messages == [f"training goes on without a checkpoint, which cannot be written: {error}"]


def test_a_disk_that_is_full_now_and_then_keeps_what_was_written(tmp_path, often, monkeypatch):
    whole, right, calls = Training(None)(), state_file.save, []

    def sometimes(tree, path):
        calls.append(path)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        right(tree, path)

    monkeypatch.setattr(state_file, "save", sometimes)
    interrupted(tmp_path, 9)
    assert len(calls) == 8
    again = Training(tmp_path)
    assert again() == whole
    assert len(again.images) == 1 + STEPS - 4


def test_halves_of_files_that_kills_have_left_are_removed(tmp_path, often):
    interrupted(tmp_path, 7)
    (tmp_path / f".{FILE}.4711.tmp").write_bytes(b"half")
    Training(tmp_path)()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
