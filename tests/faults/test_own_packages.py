"""A project with packages ``models`` and ``bench`` of its own, in whose folder the suite is used."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from bench import environment
from bench.cli import diagnosis
from tests.conftest import PLUGINS, TINY_GRID

ROOT = Path(__file__).parents[2]

#: What many a project has beside its data; running any of it by mistake is seen.
THEIRS = {
    "models/__init__.py": "from models.net import Net\n",
    "models/net.py": "class Net: ...\n",
    "models/students.py": "raise SystemExit('theirs was taken for ours')\n",
    "yaml.py": "raise SystemExit('theirs was taken for PyYAML')\n",
    "helpers.py": "MARGIN = 0.25\n",
    "project/models/__init__.py": "from .net import LAYERS\n",
    "project/models/net.py": "LAYERS = 3\n",
}
LOSS = """
{imports}
from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import HashingParameters

@LOSSES.register
class Mine(Loss):
    version = 1
    class Params(HashingParameters):
        margin: float = {margin}
    def terms(self, codes, labels, index):
        import helpers
        return {{"all": codes.square().mean() * helpers.MARGIN}}
"""


@pytest.fixture
def project(folder: Path) -> Path:
    """The working directory is theirs."""
    for name, text in THEIRS.items():
        path = folder / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.chdir(folder / "project")
    (folder / "project" / "grid.yaml").write_text(TINY_GRID)
    return folder / "project"


def ask(
    *arguments: object, python: str | Path = sys.executable, module: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process of its own."""
    start = [python, "-m", "bench"] if module else [Path(python).with_name("hash-pareto")]
    command = [str(part) for part in (*start, *arguments)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("search", ["", "."], ids=["usual", "on the path"])
def test_ours_are_found_whatever_the_folder_holds(project: Path, search: str) -> None:
    done = ask("ls", "students", PYTHONPATH=f"{search}{os.pathsep}{ROOT}" if search else str(ROOT))
    if search:  # who asks for the folder to be searched gets that, but for our own names
        (project / "yaml.py").unlink()
    assert done.returncode == 0, done.stderr
    assert "cukd_v1" in done.stdout


def test_theirs_are_found_by_their_plugins(project: Path) -> None:
    imports = "from helpers import MARGIN\nfrom project.models import LAYERS"
    (project / "plugins").mkdir()
    (project / "plugins" / "beside.py").write_text("HALF = 0.5\n")
    mine = project / "plugins" / "mine.py"
    mine.write_text(
        LOSS.format(imports=f"{imports}\nfrom beside import HALF", margin="MARGIN * LAYERS * HALF")
    )
    done = ask("ls", "losses", "--include", mine)
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout


@pytest.mark.parametrize(
    "what", ["from models import Net", "from models.net import Net", "import bench.mine"]
)
def test_what_cannot_be_found_is_one_line(project: Path, what: str) -> None:
    (project / "mine.py").write_text(LOSS.format(imports=what, margin=1.0))
    done = ask("ls", "losses", "--include", "mine.py")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "'bench' and 'models' are the suite's own packages" in done.stderr
    assert "rename yours, or put it inside a package" in done.stderr


def run_with(python: str | Path, *, module: bool) -> None:
    """Processes of a run find ours, and theirs for a plug-in, too."""
    (Path.cwd() / "mine.py").write_text(LOSS.format(imports="", margin=1.0))
    grid = TINY_GRID.replace("loss: [csq, dch]", "loss: [csq, mine]")
    Path("grid.yaml").write_text(grid)
    plugins = ["--include", PLUGINS / "tiny.py", "--include", "mine.py"]
    done = ask(
        "run", "--grid", "grid.yaml", *plugins, "--jobs", 2, "--device", "cpu", python=python, module=module
    )
    assert done.returncode == 0, done.stderr
    assert len(list(Path.cwd().rglob("records/*.json"))) == 4


def test_jobs_of_slurm_take_nothing_of_the_folder_either(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.python() == [sys.executable, "-P"]
    monkeypatch.chdir(ROOT)  # ours may be found there alone
    assert environment.python() == [sys.executable]


@pytest.mark.parametrize("theirs", [True, False])
def test_doctor_tells_of_a_folder_that_has_a_bench(project: Path, theirs: bool) -> None:
    if theirs:
        (project / "bench").mkdir()
    line = "'python -m bench' is that of this folder; the suite's is 'hash-pareto' here"
    assert (diagnosis.shadowed() == {"here": line}) == theirs


# -- installed ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment with the suite as a wheel; the large packages are those of this one."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("installed")
    sources = folder / "sources"
    copied = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("bench", "models"):
        shutil.copytree(ROOT / name, sources / name, ignore=copied)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        ".",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        folder,
    ]
    subprocess.run(build, check=True, cwd=sources, env=_plain())
    venv.create(folder / "new", with_pip=True, symlinks=True)
    python = folder / "new" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "-q", wheel]
    subprocess.run(install, check=True, env=_plain())
    shutil.rmtree(sources)
    there = sysconfig.get_path("purelib", vars={"base": str(folder / "new"), "platbase": str(folder / "new")})
    # Behind its own; what this environment's own links lead to, a checkout perhaps, is not taken over.
    Path(there, "large.pth").write_text("\n".join(dict.fromkeys(site.getsitepackages())) + "\n")
    return python


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
@pytest.mark.parametrize("module", [True, False], ids=["python -m bench", "hash-pareto"])
def test_as_a_wheel(installed: Path, project: Path, monkeypatch: pytest.MonkeyPatch, module: bool) -> None:
    """The README's commands, where a project has such packages."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if not module:  # there is no other way where this is theirs as well
        (project / "bench").mkdir()
        (project / "bench" / "__init__.py").write_text("raise SystemExit('theirs was taken for ours')\n")

    def call(*arguments: object) -> str:
        done = ask(*arguments, python=installed, module=module)
        assert done.returncode == 0, done.stderr
        return done.stdout

    place = subprocess.run(
        [installed, "-P", "-c", "import bench; print(bench.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(place.stdout.strip()).is_relative_to(installed.parents[1])
    run_with(installed, module=module)
    include = ["--include", PLUGINS / "tiny.py", "--include", "mine.py"]
    call("report", "results/tiny")
    assert "cukd_v1" in call("ls", "students")
    if not module:
        return
    assert "4 cells" in call("plan", "--grid", "grid.yaml", *include)
    call("report", "results/tiny", "results/tiny", "--out", "both")
    call("compare", "results/tiny", "--a", "loss=csq", "--b", "loss=mine")
    call("measure", "cukd_v1", "--image-size", "32", "--json", "--budget", "0.1")
    assert "synthetic" in call("data", "prepare", "synthetic")
    call("worker", "--grid", "grid.yaml", "--out", "workers", *include, "--device", "cpu", "--jobs", 1)
