"""Keep freed memory in the process while the same sizes are asked for again and again.

A training step on a CPU frees and asks for hundreds of megabytes. glibc gives large blocks back to the
kernel at once, which then clears every page anew for the next step; keeping them saves that work. No number
changes. Only stages that nobody times run inside ``kept``: a deployed network has no such help.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Parameters of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: What glibc arrives at by itself for large blocks (DEFAULT_MMAP_THRESHOLD_MAX on 64 bits, and twice that).
_USUAL_MMAP, _USUAL_TRIM = 32 << 20, 64 << 20
#: The largest block that is kept, and from when on free memory is given back: more than any step needs.
_KEPT_MMAP, _KEPT_TRIM = 1 << 30, (1 << 31) - 1


_depth = 0


@contextmanager
def kept() -> Iterator[None]:
    """Freed memory stays in the process inside, and goes back to the system at the end.

    Does nothing where the C library is not glibc, or one that takes no such sizes. May be nested.
    """
    global _depth  # noqa: PLW0603  (malloc has one state per process)
    library = _glibc()
    if library is None or (not _depth and not library.mallopt(_MMAP_THRESHOLD, _KEPT_MMAP)):
        yield
        return
    library.mallopt(_TRIM_THRESHOLD, _KEPT_TRIM)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            library.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP)
            library.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
            library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
