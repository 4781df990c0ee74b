"""Registries: lazy, strict, helpful."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench import registry
from bench.errors import UsageError
from bench.registry import LOSSES, REGISTRIES, STUDENTS, TEACHERS, Registry


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_every_file_of_a_kind_defines_the_plugin_it_is_named_after(kind):
    for name in REGISTRIES[kind].names():
        plugin = REGISTRIES[kind].get(name)
        assert isinstance(plugin.version, int)
        assert plugin.Params.model_config["extra"] == "forbid"


def test_an_unknown_name_lists_the_closest_and_all():
    with pytest.raises(
        UsageError, match=r"unknown loss 'dhc'; did you mean 'dch' or 'dhd'\? \(choices: classifier"
    ):
        LOSSES.get("dhc")


def test_a_second_plugin_under_one_name_is_an_error(tmp_path):
    mine = tmp_path / "dch.py"
    mine.write_text("from bench.registry import LOSSES\n@LOSSES.register\nclass Mine:\n    version = 1\n")
    with pytest.raises(
        UsageError, match=r"two loss plug-ins are named 'dch': bench\.losses\.dch.* and included\.dch"
    ):
        registry.include(mine)
    kept = Registry("loss", "bench.losses")
    kept.register_as("new")(int)
    kept.register_as("new")(int)
    with pytest.raises(UsageError, match="rename one"):
        kept.register_as("new")(str)


def test_a_teacher_may_be_a_student_but_not_the_other_way_round():
    assert STUDENTS.get("resnet50") is TEACHERS.get("resnet50")
    with pytest.raises(UsageError, match="unknown teacher 'cukd_v1'"):
        TEACHERS.get("cukd_v1")


def test_what_a_registry_would_find_is_in_it():
    asked = ("cukd_v1", "resnet50", "timm:resnet10t", "cukd_v9", "x:y")
    assert [name in STUDENTS for name in asked] == [True, True, True, False, False]


def test_included_files_that_fail_are_one_line(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(UsageError, match="--include .*broken.py: ZeroDivisionError"):
        registry.include(broken)
    with pytest.raises(UsageError, match="no such file"):
        registry.include(tmp_path / "absent.py")
    with pytest.raises(UsageError, match="a folder; pass the .py file"):
        registry.include(tmp_path)
    (tmp_path / "plugin.txt").write_text("")
    with pytest.raises(UsageError, match=r"not a Python file; its name must end in \.py"):
        registry.include(tmp_path / "plugin.txt")
    broken.write_text("class Loss:\n    version = 1\n")
    with pytest.raises(
        UsageError, match="broken.py: registers no plug-in; put a decorator like @LOSSES.regis"
    ):
        registry.include(broken)


def test_a_name_of_another_kind_or_library_is_told():
    with pytest.raises(UsageError, match=r"unknown student 'dch', which is a loss \(choices"):
        STUDENTS.get("dch")
    with pytest.raises(UsageError, match=r"unknown student 'tmm:resnet18'; did you mean 'timm:resnet18'\?"):
        STUDENTS.get("tmm:resnet18")
    with pytest.raises(
        UsageError, match="'vgg11'; a network of a library is written timm:vgg11 or torchvision:"
    ):
        STUDENTS.get("vgg11")


def test_entry_points_are_found_and_may_not_clash(monkeypatch):
    from importlib.metadata import EntryPoint

    def points(group):
        value = "bench.losses.csq:Csq"
        return [EntryPoint("theirs", value, group)] if group == "hash_pareto.loss" else []

    monkeypatch.setattr(registry, "entry_points", points)
    fresh = Registry("loss", "bench.losses")
    assert "theirs" in fresh.names()
    assert fresh.get("theirs").__name__ == "Csq"
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [EntryPoint("dch", "their.module:Loss", group)]
    )
    with pytest.raises(UsageError, match="two loss plug-ins are named 'dch'"):
        Registry("loss", "bench.losses").names()


def test_a_module_of_ones_own_that_is_imported_first_is_named(folder):
    (folder / "models.py").write_text("")
    command = "import models; from bench.cli import main; raise SystemExit(main(['ls', 'teachers']))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "models.py stands in the way of the suite's own package 'models'; rename it" in done.stderr
    command = "import models, bench; bench.run"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert "models.py stands in the way" in done.stderr.splitlines()[-1]
