"""Imports point down only, and what only reads records or plans never pays for torch."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Highest layer first; a module may import its own layer and those below.
LAYERS = {
    5: ["bench.cli", "bench.cli_options", "bench.cli_data", "bench.cli_results", "bench.__main__"],
    4: [
        "bench.execute",
        "bench.cell_files",
        "bench.pairing",
        "bench.choosing",
        "bench.compare",
        "bench.compare_costs",
        "bench.compare_text",
        "bench.finding",
        "bench.check",
        "bench.check_text",
        "bench.baseline",
        "bench.power",
        "bench.scores",
        "bench.judging",
        "bench.verdicts",
        "bench.executors",
        "bench.forecast",
        "bench.report",
        "bench.plan_text",
        "bench.cost_card",
        "bench.doctor",
    ],
    3: [
        "bench.plan",
        "bench.advice",
        "bench.pipeline",
        "bench.blocks",
        "bench.combinations",
        "bench.stage",
        "bench.stages",
        "bench.data.loading",
        "bench.selection",
        "bench.estimate",
    ],
    2: [
        "bench.methods",
        "bench.losses",
        "bench.datasets",
        "bench.metrics",
        "models",
        "bench.methods._identities",
    ],
    1: [
        "bench.config",
        "bench.grid_faults",
        "bench.plugin_faults",
        "bench.yaml_nodes",
        "bench.records",
        "bench.storage.store",
        "bench.environment",
        "bench.limits",
        "bench.timing",
        "bench.hamming",
        "bench.hamming.codes",
        "bench.hamming.ties",
        "bench.hamming.scan",
        "bench.hamming.relevance",
        "bench.metrics._bootstrap",
        "bench.statistics",
        "bench.losses._centers",
        "bench.data.cifar_batches",
        "bench.data.copies",
        "bench.metrics._cuts",
        "bench.metrics._histograms",
        "bench.metrics._search_indexes",
        "bench.data.image_files",
        "bench.data.image_lists",
        "bench.metrics._instance",
        "bench.data.revisited_files",
        "bench.data.reid_files",
        "bench.methods._gram",
        "bench.methods._fusion",
        "bench.data.safe_pickle",
        "bench.metrics._onnx_sessions",
        "bench.data.splits",
        "bench.progress",
        "bench.allocator",
        "bench.storage.growing_rows",
        "bench.metric_names",
        "bench.merge",
        "bench.metrics._operators",
    ],
    0: [
        "bench.storage",
        "bench.errors",
        "bench.types",
        "bench.interfaces",
        "bench.registry",
        "bench.storage.atomic",
        "bench",
    ],
}
PLUGINS = [
    "bench.methods",
    "bench.losses",
    "bench.datasets",
    "bench.metrics",
    "models.teachers",
    "models.students",
]
FORBIDDEN_TO_PLUGINS = {"bench.config", "bench.storage.store", "bench.records"}
#: What reads results and nothing else.
RECORD_READERS = (
    "bench.report",
    "bench.pairing",
    "bench.choosing",
    "bench.compare",
    "bench.finding",
    "bench.check",
    "bench.baseline",
    "bench.power",
    "bench.scores",
    "bench.judging",
    "bench.verdicts",
)
MODULES = sorted((ROOT / "bench").rglob("*.py")) + sorted((ROOT / "models").rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> int:
    known = [(len(prefix), layer) for layer, names in LAYERS.items() for prefix in names
             if module == prefix or (module.startswith(prefix + ".") and prefix != "bench")]  # fmt: skip
    assert known, f"{module} is in no layer; add it to LAYERS"
    return max(known)[1]


def imports_of(path: Path) -> set[str]:
    """First-party modules imported anywhere in ``path``, type-checking blocks left out."""
    tree = ast.parse(path.read_text())
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
            known = {name_of(module) for module in MODULES}
            found |= {name if name in known else node.module for name in inner}
    return {name for name in found if name.split(".")[0] in {"bench", "models"}}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    module = name_of(path)
    for imported in imports_of(path):
        assert layer_of(imported) <= layer_of(module), f"{module} imports {imported} from above"
        if any(module.startswith(package + ".") for package in PLUGINS):
            assert imported not in FORBIDDEN_TO_PLUGINS, f"plug-in {module} imports {imported}"
            own = f"{module.rpartition('.')[0]}._"
            assert imported.startswith(own) or not any(imported.startswith(f"{p}.") for p in PLUGINS), (
                f"{module} imports {imported}"
            )
        if module.startswith(RECORD_READERS):
            assert layer_of(imported) <= 1 or imported.startswith(RECORD_READERS), (
                f"{module} imports {imported}"
            )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_stay_short(path):
    lines = len(path.read_text().splitlines())
    is_plugin = not path.name.startswith("_") and name_of(path).rpartition(".")[0] in PLUGINS
    assert lines <= (150 if is_plugin else 400), f"{path.name} has {lines} lines; split it"


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running ``code``."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["plan", "--grid", "grid.yaml"], ["ls", "losses"], ["report", "absent"]],
    ids=" ".join,
)
def test_torch_is_not_imported(arguments, folder):
    assert "torch" not in loaded_by(f"from bench.cli import main; main({arguments!r})")


@pytest.mark.parametrize("verb", ["report", "compare", "check"])
def test_reading_results_needs_neither_torch_nor_search(verb, tmp_path):
    folder = shutil.copytree(ROOT / "results/published/quick", tmp_path / "results")
    others = {"report": [], "compare": [folder], "check": ["--baseline", folder]}[verb]
    arguments = [verb, *map(str, others), str(folder)]
    assert not {"torch", "timm", "faiss"} & loaded_by(f"from bench.cli import main; main({arguments!r})")


def test_help_imports_next_to_nothing():
    heavy = {"numpy", "pandas", "pydantic", "rich", "matplotlib", "yaml", "faiss"}
    assert not heavy & loaded_by("from bench.cli import main; main(['--help'])")
