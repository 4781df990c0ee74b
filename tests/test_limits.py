"""Cores and memory that a process may use, as the system and containers tell it."""

from __future__ import annotations

import os

import pytest

from bench import environment


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Write files of a machine with 64 cores and 32 GiB of free memory."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)

    def write(groups="0::/\n", **files):
        texts = {
            "proc/meminfo": "MemTotal: 99 kB\nMemAvailable:   33554432 kB\n",
            "proc/self/cgroup": groups,
            **files,
        }
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return environment.cores(tmp_path), environment.available_memory(tmp_path)

    return write


def under(folder, **files):
    return {f"sys/fs/cgroup/{folder}/{name}": text for name, text in files.items()}


def test_without_limits_everything_that_is_there(system):
    assert system() == (64, 32 << 30)


def test_a_container_of_two_cores_and_four_gigabytes(system):
    limited = {"cpu.max": "150000 100000\n", "memory.max": str(4 << 30), "memory.current": str(3 << 30),
               "memory.stat": f"anon 5\ninactive_file {1 << 30}\n"}  # fmt: skip
    assert system("0::/box/inner\n", **under("box", **limited)) == (2, 2 << 30)


def test_a_container_that_sees_its_own_group_as_the_outermost(system):
    assert system("0::/../x\n", **under(".", **{"cpu.max": "400000 100000"})) == (4, 32 << 30)


def test_no_limit_is_no_limit(system):
    free = {"cpu.max": "max 100000", "memory.max": "max", "memory.current": "5"}
    assert system("0::/box\n", **under("box", **free)) == (64, 32 << 30)


def test_groups_of_the_first_version(system):
    cpu = under("cpu,cpuacct/box", **{"cpu.cfs_quota_us": "300000", "cpu.cfs_period_us": "100000"})
    memory = under("memory/box", **{"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "400",
                                    "memory.stat": "total_inactive_file 50\n"})  # fmt: skip
    assert system("4:memory:/box\n1:cpu,cpuacct:/box\n", **cpu, **memory) == (3, 650)
    unlimited = under("memory/box", **{"memory.limit_in_bytes": str(1 << 62)})
    none = under("cpu,cpuacct/box", **{"cpu.cfs_quota_us": "-1"})
    assert system("4:memory:/box\n1:cpu,cpuacct:/box\n", **none, **unlimited) == (64, 32 << 30)


def test_elsewhere_nobody_knows(tmp_path):
    assert environment.available_memory(tmp_path) is None
    assert environment.cores(tmp_path) >= 1


def test_jobs_by_default(monkeypatch):
    assert environment.default_jobs("cpu", 8, 1) == 8
    assert environment.default_jobs("cpu", 8, 3) == 2
    assert environment.default_jobs("cpu", 2, 4) == 1
    monkeypatch.setattr(environment, "package_version", lambda name: "2.14.1")
    monkeypatch.setattr(
        environment, "_output", lambda *command: "0, GPU-a, Big\n1, GPU-b, Big\n2, GPU-c, Small\n"
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert environment.default_jobs("cuda", 8, 1) == 3
    for visible, jobs in {"2,0": 2, "GPU-b": 1, "0,9,1": 1, "MIG-x": 1, "": 1}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert environment.default_jobs("cuda", 8, 1) == jobs
