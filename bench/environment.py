"""Where a number came from and what it could use: code version, packages, machine. Needs no torch.

The hardware fingerprint decides which timings may be reused and compared. A container
limits cores and memory by control groups (``cgroup``, versions 1 and 2), which Python does not look at: on a
machine of 64 cores, one with a quota of two would get 64 jobs.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "fvcore",
    "thop",
    "faiss-cpu",
    "numpy",
    "pandas",
    "onnxruntime",
    "optuna",
    "nvidia-ml-py",
    "hash-pareto",
)

#: What a timing is a timing of: with another version of these it is taken again.
TIMED_PACKAGES = ("torch", "timm", "faiss-cpu", "onnxruntime")

#: What the last bits of a training may depend on.
COMPUTING_PACKAGES = ("hash-pareto", "torch", "torchvision", "timm", "numpy", "scipy", "faiss-cpu", "pillow")

#: Where the files are in which the system tells of itself.
SYSTEM = Path("/")

#: Environment variables that can change a result or a timing; recorded when set, the latter of runs on a GPU.
#: Paths stay out, because records get published.
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")
GPU_VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES")


def hardware(device: str, threads: int) -> dict[str, Any]:
    """What timings depend on, readable, and ``fingerprint``, 12 hex digits of it."""
    facts: dict[str, Any] = {
        "cpu": cpu_model(),
        "gpu": gpu_model() if device == "cuda" else None,
        "device": device,
        "threads": threads,
        # Threads that wait without spinning take longer to wake up.
        "waiting": os.environ.get("OMP_WAIT_POLICY", "default").lower(),
    }
    text = "|".join(f"{name}={value}" for name, value in sorted(facts.items()))
    return {**facts, "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:12]}


def describe(device: str, threads: int, precision: str) -> dict[str, Any]:
    """The ``environment`` block of a record."""
    names = (*VARIABLES, *GPU_VARIABLES) if device == "cuda" else VARIABLES
    return {
        **hardware(device, threads),
        "precision": precision,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
        "git": git_state(),
        "variables": {name: os.environ[name] for name in names if name in os.environ},
    }


def timed_packages() -> dict[str, str]:
    """Versions of the packages that timings depend on."""
    return {name: version for name in TIMED_PACKAGES if (version := package_version(name))}


def computing_packages() -> dict[str, str]:
    """Versions of the packages that trainings depend on."""
    return {name: version for name in COMPUTING_PACKAGES if (version := package_version(name))}


def set_variables() -> None:
    """Set what OpenMP and CUDA read when they start, unless the user has; fp32 is float32 in any case."""
    # Threads that wait for others must not spin: on cores that something else uses as well, two spinning
    # threads halve the speed of a training and more. Read when torch is imported: set later, it would be
    # recorded and do nothing.
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # GPUs by their place, as nvidia-smi counts them, and not the fastest first.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    # Without this, torch takes matrix products for such as may sum in another order every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Else convolutions, and not matrix products, would round what they multiply to 10 bits (TF32): of two
    # networks in the same precision, one would gain a speed that the other does not.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized() and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0":
        log.warning(
            "warning: this program has used a GPU already, and fp32 stays what it was there: TF32, unless "
            "NVIDIA_TF32_OVERRIDE=0 is set before"
        )
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


class TakenError(ImportError):
    """A package of somebody else has the name of one of ours."""


def claim_packages() -> None:
    """Have ``models`` mean the suite's own package, whatever else of that name an import would find first.

    The working directory, or ``PYTHONPATH``, often holds another one.

    Raises:
        TakenError: another one has been imported before.
    """
    ours, there = Path(__file__).parents[1] / "models" / "__init__.py", sys.modules.get("models")
    if not ours.is_file():  # nodes of a cluster may have got the two packages apart from each other
        return
    if there is None:
        spec = importlib.util.spec_from_file_location("models", ours)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["models"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return
    place = getattr(there, "__file__", None) or next(iter(there.__path__), "a package without files")
    if not Path(place).exists() or not os.path.samefile(place, ours):
        raise TakenError(
            f"{place} stands in the way of the suite's own package 'models'; rename it, or have bench.run "
            "called before it is imported"
        )


def in_checkout() -> bool:
    """Whether the working directory is where the suite's own packages lie."""
    return Path(__file__).parents[1] == Path.cwd()


def python() -> list[str]:
    """How Python is started anew: without the packages of the working directory, unless ours lie there."""
    return [sys.executable] if in_checkout() else [sys.executable, "-P"]


def default_threads() -> int:
    """``OMP_NUM_THREADS`` if set, else the number of cores this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else cores()


def default_jobs(device: str, threads: int, job_threads: int) -> int:
    """Stages at work at once: one a GPU, or as many as there are threads for.

    Args:
        threads, job_threads: of all jobs, and of one.
    """
    return len(_gpus()) or 1 if device == "cuda" else max(1, threads // job_threads)


@functools.cache
def package_version(name: str) -> str | None:
    """Installed version of a distribution, None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def cpu_model() -> str:
    """Marketing name of the processor, as the system tells it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


@functools.cache
def bf16_in_hardware(device: str) -> bool:
    """Whether bfloat16 is computed as such; a CPU without it emulates, many times slower than float32."""
    if device == "cuda":
        return True
    try:
        found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return False
    return found is not None and not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(found.group(1).split())


@functools.cache
def gpu_model() -> str | None:
    """Name of the NVIDIA GPU that torch would take first, by nvidia-smi; None where it would find none.

    Asking torch would cost seconds. The numbers of the two agree, see ``set_variables``.
    """
    return next(iter(_gpus()), None)


def chosen_device(asked: str) -> str:
    """``auto`` is the GPU where the driver shows one; asking torch would cost seconds."""
    return ("cuda" if gpu_model() else "cpu") if asked == "auto" else asked


def _gpus() -> tuple[str, ...]:
    """Names of the GPUs that torch would find, in its order."""
    if (package_version("torch") or "").endswith("+cpu"):
        return ()
    listed = _output("nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader")
    found = [[part.strip() for part in line.split(",", 2)] for line in listed.splitlines() if line.strip()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(name for _, _, name in found)
    if visible.startswith("MIG"):  # parts of GPUs are not in the list, and torch takes one of them
        return tuple(name for _, _, name in found[:1])
    taken = []
    for wanted in map(str.strip, visible.split(",")):
        name = next(
            (name for index, uuid, name in found if index == wanted or (wanted and uuid.startswith(wanted))),
            None,
        )
        if name is None:  # CUDA looks no further
            break
        taken.append(name)
    return tuple(taken)


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Commit of the source tree and whether it has local changes; None outside a checkout."""
    root = str(Path(__file__).resolve().parent.parent)
    top, _, commit = _output("git", "-C", root, "rev-parse", "--show-toplevel", "HEAD").partition("\n")
    if not commit or Path(top) != Path(root):  # installed below somebody else's checkout
        return None
    return {
        "commit": commit.strip(),
        "dirty": bool(_output("git", "-C", root, "status", "--porcelain", "-uno")),
    }


def _output(*command: str) -> str:
    """Standard output of a command, empty if it is not installed or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def cores(root: Path = SYSTEM) -> int:
    """Cores that this process may keep busy, at least 1."""
    # Not everywhere is there an affinity.
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for folder in _groups(root, "cpu") if (quota := _quota(folder))]
    return max(1, min(found, *quotas)) if quotas else found


def available_memory(root: Path = SYSTEM) -> int | None:
    """Bytes that can be taken without swapping; None where nobody knows."""
    known = [room for folder in _groups(root, "memory") if (room := _room(folder)) is not None]
    free = re.search(r"^MemAvailable:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if free:
        known.append(1024 * int(free[1]))
    return max(0, min(known)) if known else None


def peak_memory() -> int | None:
    """The most bytes that this process has held at a time; None where the system does not say."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, innermost first.

    A container often sees its own group as the outermost one, under a name that leads nowhere.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        here = top / path.strip("/")
        yield from (folder for folder in (here, *here.parents) if folder.is_relative_to(top))


def _quota(folder: Path) -> float | None:
    """Cores by quota."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _room(folder: Path) -> int | None:
    """Bytes up to the limit; what the system only keeps of files counts as free."""
    for limit, used, kept in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = _text(folder / limit), _text(folder / used)
        if most.isdigit() and now.isdigit():
            files = re.search(rf"^{kept} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
            return int(most) - int(now) + (int(files[1]) if files else 0)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
