"""Names of things by what determines them: canonical JSON, its hash, and file names that end in it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

KEY_DIGITS = 12


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def readable(slug: str) -> str:
    """What file names have of ``slug``: cleaned for file systems, and cut where it is long."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "-", slug)[:120]


def file_name(slug: str, key: str) -> str:
    """Readable part and enough of the key to be unique."""
    return f"{readable(slug)}-{key[:KEY_DIGITS]}"
