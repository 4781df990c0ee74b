"""The network of a recorded cell, found again by the keys in its record."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.planning.stage import TRUNK, Stage
from bench.results.records import Record
from bench.storage.keys import KEY_DIGITS
from bench.storage.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownStage(Stage):
    """A stage known by its artifact alone: what it was made from may be gone, so ``known_key`` is its key."""

    known_key: str = field(kw_only=True)

    @functools.cached_property
    def key(self) -> str:
        """What its artifact says."""
        return self.known_key


def found_stage(record: Record, stores: Iterable[Store]) -> tuple[Store, Stage] | None:
    """Where the codes of a cell and the network that made them are, both intact.

    Args:
        record: of the cell.
        stores: where to look, one after the other; nothing in them is changed.

    Returns:
        The first store that has both, and the cell's ``encode`` stage. Its only input is the stage that left
        the network, ``finetune``, ``fit`` or ``distill``, which has no inputs; there is none where nothing
        was trained. None where no store has both.
    """
    if "encode" not in record.stages:
        return None
    found = ((store, _known(store, "encode", record.stages["encode"].key)) for store in stores)
    return next(((store, encode) for store, encode in found if encode), None)


def _known(store: Store, kind: str, key: str, *, inputs: bool = True) -> Stage | None:
    """The stage of an artifact and of those that it was made from."""
    folder = store.find(kind, key)
    if folder is None:
        return None
    index = store.intact(folder)
    if index is None:
        log.warning("warning: %s is damaged, and not used", folder)
        return None
    # A network's role is the kind of stage that trained it.
    roles = [role for role in index["inputs"] if inputs and role != TRUNK]  # codes need no features any more
    found = {role: _known(store, role, index["inputs"][role], inputs=False) for role in roles}
    needed = {role: stage for role, stage in found.items() if stage}
    if len(needed) < len(found):
        return None
    slug = folder.name.removesuffix(f"-{key[:KEY_DIGITS]}")
    return KnownStage(kind, slug, index["spec"], needed, index["images"], index["cost_class"], known_key=key)
