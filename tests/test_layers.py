"""Imports point down only, and what only reads records or plans never pays for torch."""

from __future__ import annotations

import ast
import functools
import graphlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from tests.deployment.bundles import write_bundle

ROOT = Path(__file__).parent.parent

#: Folders of plug-ins.
PLUGIN_ROOMS = [
    *("bench.methods", "bench.losses", "bench.datasets", "bench.metrics"),
    *("models.teachers", "models.students"),
]
#: Rooms, the highest floor first. A module imports its own room and those on lower floors, nothing else.
FLOORS = [
    ["bench.__main__"],
    ["bench.cli"],
    ["bench.execution", "bench.deployment"],
    ["bench.stages", "bench.published"],
    ["bench.training", "bench.planning", *PLUGIN_ROOMS],
    ["models", "bench.data", "bench.comparison", "bench.report"],
    ["bench.results", "bench.registry"],
    ["bench.hamming", "bench.storage", "bench.interfaces", "bench.timing"],
    ["bench.types", "bench.errors", "bench.environment", "bench"],
]
FLOOR_OF = {room: len(FLOORS) - number for number, rooms in enumerate(FLOORS) for room in rooms}
#: What plug-ins may know of the suite, beside ``_x.py`` of their own folder.
OPEN_TO_PLUGINS = {
    *("bench.types", "bench.interfaces", "bench.registry", "bench.errors", "bench.timing"),
    *("bench.hamming", "bench.data", "models"),
}
WITHOUT_TORCH = ["bench.planning", "bench.results", "bench.comparison", "bench.report", "bench.cli"]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("bench", "models")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def room_of(module: str) -> str:
    """The longest name of a room that ``module`` lies in."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    found = next(name for name in names if name in FLOOR_OF)
    assert found != "bench" or module == "bench", f"{module} is in no room; which question does it answer?"
    return found


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """First-party modules imported anywhere in ``module``, functions included, type-checking blocks not."""
    tree = ast.parse(MODULES[module].read_text())
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in inner}
    return frozenset(name for name in found if name in MODULES)


def is_plugin(module: str) -> bool:
    package, _, name = module.rpartition(".")
    return package in PLUGIN_ROOMS and not name.startswith("_")


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    room = room_of(module)
    for imported in imports_of(module):
        below = FLOOR_OF[room_of(imported)] < FLOOR_OF[room]
        assert below or room_of(imported) == room, f"{module} imports {imported}, which is not below it"


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.rpartition(".")[0] in PLUGIN_ROOMS]
)
def test_plugins_know_little_of_the_suite(module):
    own = f"{module.rpartition('.')[0]}._"
    for imported in imports_of(module):
        assert imported.startswith(own) or room_of(imported) in OPEN_TO_PLUGINS, f"it imports {imported}"


def folder_of(module: str) -> str:
    """The package that ``module`` lies in; a package's face is part of it."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def test_no_two_packages_import_each_other():
    """A folder inside a room is part of it, but not of another folder of that room."""
    pairs = {
        (folder_of(module), folder_of(imported))
        for module in MODULES
        if module != "bench.__main__"
        for imported in imports_of(module)
    }
    mutual = {
        (one, other)
        for one, other in pairs
        if (other, one) in pairs and not f"{one}.".startswith(f"{other}.") and not other.startswith(f"{one}.")
    }
    assert not mutual


def test_no_module_imports_itself_through_others():
    graph = {module: imports_of(module) - {module} for module in MODULES}
    # A face is imported with each module of its package, and imports them.
    faces = {module for module in MODULES if MODULES[module].name == "__init__.py"}
    graph = {module: needs - faces for module, needs in graph.items() if module not in faces}
    graphlib.TopologicalSorter(graph).prepare()


def test_what_others_published_is_known_to_reports_and_plans_alone():
    """So no front, no comparison and no gate can count it."""
    readers = {room_of(module) for module in MODULES if "bench.results.published" in imports_of(module)}
    assert readers == {"bench.published", "bench.report", "bench.cli"}


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_short(module):
    lines = len(MODULES[module].read_text().splitlines())
    assert lines <= (150 if is_plugin(module) else 400), f"{module} has {lines} lines; split it"


def test_the_hall_stays_small():
    """A reader who opens ``bench`` sees rooms, and hardly a module beside them."""
    modules = [path.name for path in (ROOT / "bench").glob("*.py")]
    assert len(modules) <= 7, modules


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running ``code``."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_that_never_import_torch(room):
    modules = [module for module in MODULES if room_of(module) == room]
    assert modules
    loaded = loaded_by(f"import {', '.join(modules)}")
    assert not {"torch", "timm", "torchvision"} & loaded
    if room in {"bench.results", "bench.comparison", "bench.report"}:
        assert "faiss" not in loaded


def test_the_numeric_core_needs_numpy_and_faiss_alone():
    foreign = (
        loaded_by("import bench.hamming") - set(sys.stdlib_module_names) - loaded_by("import numpy, faiss")
    )
    assert foreign == {"bench"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["plan", "--grid", "grid.yaml"], ["ls", "losses"], ["report", "absent"]],
    ids=" ".join,
)
def test_torch_is_not_imported(arguments, folder):
    assert "torch" not in loaded_by(f"from bench.cli import main; main({arguments!r})")


@pytest.mark.parametrize("verb", ["encode", "search"])
def test_encoding_and_searching_need_five_packages_alone(verb, tmp_path):
    """The extra ``runtime``: of it, encoding leaves out FAISS. Of ``models`` there is but the name."""
    write_bundle(tmp_path / "bundle")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    bundle, image, codes, page = (str(tmp_path / name) for name in ("bundle", "a.png", "codes.npz", "p.html"))
    encode = ["encode", bundle, image, "--out", codes]
    assert main(encode) == 0
    arguments = encode if verb == "encode" else ["search", bundle, image, "--index", codes, "--html", page]
    packages = "numpy, PIL.Image, onnxruntime, click" + (", faiss" if verb == "search" else "")
    foreign = loaded_by(f"from bench.cli import main; main({arguments!r})") - set(sys.stdlib_module_names)
    assert foreign - loaded_by(f"import {packages}") == {"bench", "models"}


@pytest.mark.parametrize("verb", ["report", "compare", "check"])
def test_reading_results_needs_neither_torch_nor_search(verb, tmp_path):
    folder = shutil.copytree(ROOT / "results/published/quick", tmp_path / "results")
    others = {"report": [], "compare": [folder], "check": ["--baseline", folder]}[verb]
    arguments = [verb, *map(str, others), str(folder)]
    assert not {"torch", "timm", "faiss"} & loaded_by(f"from bench.cli import main; main({arguments!r})")


@pytest.mark.parametrize("question", ["frame", "summary"])
def test_reading_results_from_python_needs_neither(question):
    loaded = loaded_by(f"import bench; bench.load('results/published/quick').{question}()")
    assert not {"torch", "timm", "faiss", "matplotlib"} & loaded
    assert "pandas" in loaded


def test_the_package_itself_imports_nothing_of_others():
    assert loaded_by("import bench") - set(sys.stdlib_module_names) - loaded_by("") == {"bench"}


def test_help_imports_next_to_nothing():
    heavy = {"numpy", "pandas", "pydantic", "rich", "matplotlib", "yaml", "faiss"}
    assert not heavy & loaded_by("from bench.cli import main; main(['--help'])")


def test_judging_codes_needs_no_torch(tmp_path):
    codes, labels = np.sign(np.random.default_rng(0).standard_normal((20, 8))), np.arange(20) % 3
    arrays = codes[:5], codes[5:], labels[:5], labels[5:]
    names = ("query_codes", "database_codes", "query_labels", "database_labels")
    np.savez(tmp_path / "codes.npz", **dict(zip(names, arrays, strict=True)))
    path = str(tmp_path / "codes.npz")
    loaded = loaded_by(f"from bench.cli import main; assert main(['evaluate', {path!r}]) == 0")
    assert not {"torch", "timm", "torchvision"} & loaded
