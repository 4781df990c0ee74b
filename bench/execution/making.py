"""Make one stage whose inputs are there, in this process: what every pool does in the end."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.errors import BenchError, UsageError
from bench.execution import quiet
from bench.execution.failure_notes import FailureNotes
from bench.execution.machine import Machine
from bench.execution.pools.pool import Cause, End, Ended, logged
from bench.planning import edited
from bench.planning.stage import Stage
from bench.stages.context import Context
from bench.storage.claims import Claim, ClaimLostError
from bench.storage.store import Store

log = logging.getLogger(__name__)

#: So many workers in a row may end in the middle of one stage until nobody tries it any more: few where each
#: began anew, many where they have left unfinished work to go on with.
MOST_DEATHS, MOST_INTERRUPTIONS = 5, 100
#: What the system says when there is no room any more, by whichever library.
FULL = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)]


def prepare_process(threads: int) -> None:
    """Give all that computes here so many threads: torch, FAISS, and the linear algebra of numpy and FAISS.

    Another number rounds differently, in matrix products as in convolutions.
    """
    import faiss
    import threadpoolctl
    import torch

    threadpoolctl.threadpool_limits(threads)
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)


@contextmanager
def threads_kept() -> Iterator[None]:
    """Give what computes here the threads back that it had: a run may be a part of somebody's program."""
    import faiss
    import threadpoolctl
    import torch

    computing, searching = torch.get_num_threads(), faiss.omp_get_max_threads()
    with threadpoolctl.threadpool_limits():
        try:
            yield
        finally:
            torch.set_num_threads(computing)
            faiss.omp_set_num_threads(searching)


def work_on(stage: Stage, machine: Machine, context: Context, *, fresh: bool) -> Ended:
    """``make`` a stage with the threads that it should have; how it ended and what was logged meanwhile."""
    prepare_process(machine.threads if stage.timed else machine.job_threads)
    with logged() as lines:
        if machine.failures is None:
            end = make(stage, context, fresh=fresh)
        else:
            end = make_if_free(stage, context, FailureNotes(machine.failures))
    return Ended(stage, end, lines)


def make(stage: Stage, context: Context, *, fresh: bool) -> End:
    """Make the artifact of ``stage``, unless another run has in the meantime; logs what goes wrong.

    Timings wait for what workers of this machine are at, and those for them, as among workers.

    Args:
        fresh: make it even if it is there.

    Raises:
        UsageError: the store cannot be written.
    """
    store = context.store
    silence = quiet.Quiet(store.claims)
    try:
        while True:
            if stage.timed:
                silence.begin()
            else:
                quiet.wait(store.claims)
            with store.lock(store.path(*stage.place)) as claim:
                if stage.timed or not quiet.asked_for(store.claims):
                    # Else wait for who makes it now.
                    with suppress(ClaimLostError):
                        return _make(stage, context, claim, fresh=fresh)
    except ConnectionError:  # of this process to who has asked it, and no matter of the store
        raise
    except OSError as error:
        raise store.unwritable(error) from error
    finally:
        silence.end()


def make_if_free(stage: Stage, context: Context, notes: FailureNotes) -> End:
    """The same beside other workers: what another one has claimed, or has failed at, is left alone.

    Raises:
        UsageError: the store cannot be written.
    """
    store = context.store
    with store.claim(store.path(*stage.place)) as claim:
        if claim is None or notes.has(stage) or (not stage.timed and quiet.asked_for(store.claims)):
            return End()
        try:
            end = _given_up(stage, store, claim) or _make(stage, context, claim, fresh=False)
        except ClaimLostError:
            return End()
        if end.cause is not None:
            notes.save(stage, end.cause)  # before others can claim it
        return end


def _given_up(stage: Stage, store: Store, claim: Claim) -> End | None:
    """How it ends if it has ended too many workers."""
    folder = store.path(*stage.place)
    if claim.deaths < MOST_DEATHS or store.verify(folder) is not None:
        return None
    if claim.deaths < MOST_INTERRUPTIONS and store.unfinished(folder):
        return None
    text = (
        f"{claim.deaths} workers in a row have ended while they made it; lower batch_size if memory was short"
    )
    return End(cause=Cause("WorkerDied", text, known=True))


def _make(stage: Stage, context: Context, claim: Claim, *, fresh: bool) -> End:
    """Make what this process has claimed.

    Raises:
        ClaimLostError: another process makes it by now; what was done here is no more.
        UsageError: the disk is full, or belongs to somebody else, or a plug-in has been edited since the run
            began.
    """
    import torch

    def advance(images: int, seconds: float = 0.0) -> None:
        claim.check()
        told_of(images, seconds)

    told_of, context = context.advance, dataclasses.replace(context, advance=advance)
    store = context.store
    folder = store.path(*stage.place)
    about = {
        "kind": stage.kind,
        "key": stage.key,
        "cost_class": stage.cost_class,
        "images": stage.images,
        "hardware": context.hardware,
        "threads": torch.get_num_threads(),
        "spec": stage.spec,
        "inputs": {role: needed.key for role, needed in stage.inputs.items()},
        "sources": edited.made_by(stage),
    }
    if fresh:
        store.forget_partial(folder)
    found = None if fresh else store.verify(folder)
    if found is not None:
        return End(found)
    edited.check(stage)
    run = importlib.import_module(f"bench.stages.{stage.kind}").run
    try:
        with store.write(folder, about) as (temporary, summary):
            summary.update(run(stage, context, temporary))
    except ClaimLostError:
        why = "this process was silent for so long that another one has taken it over"
        log.warning("%s %s: given up: %s", stage.kind, stage.slug, why)
        raise
    except Exception as error:
        # No fault of the stage, and every other one would fail of it, too.
        if full := [text for text in FULL if text in str(error)]:
            raise UsageError(
                f"{stage.kind} {stage.slug}: {full[0]}; make room in {store.root}, and run the same again"
            ) from error
        if isinstance(error, OSError) and store.forbids(error):
            raise store.unwritable(error) from error
        log.debug("%s %s failed", stage.kind, stage.slug, exc_info=not isinstance(error, BenchError))
        return End(cause=Cause.of(error))
    index = store.verify(folder)
    if index is None:
        return End(cause=Cause("OSError", f"{folder} cannot be read back; check the disk", known=True))
    return End(index, made=True)
