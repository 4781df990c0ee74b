"""What has to be installed where a bundle encodes and searches: the extra ``runtime``."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
from pathlib import Path


def requirements() -> str:
    """The ``requirements.txt`` of a bundle."""
    return "\n".join(
        [
            "# To encode and search with this bundle, without torch:",
            "#   pip install -r requirements.txt",
            "#   pip install --no-deps PATH/TO/hash-pareto (its checkout)",
            *_runtime(),
            "",
        ]
    )


def _runtime() -> list[str]:
    setup = configparser.ConfigParser()
    # A checkout knows better than what was noted when it was installed.
    setup.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    if setup.get("metadata", "name", fallback="") == "hash-pareto":
        return setup["options.extras_require"]["runtime"].split()
    noted = importlib.metadata.requires("hash-pareto") or []
    return [text.partition(";")[0] for text in noted if re.search(r"extra == [\"']runtime[\"']", text)]
