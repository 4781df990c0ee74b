"""A plug-in that is edited makes new work, or is warned of; nothing old is used in silence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench import registry
from bench.errors import UsageError
from bench.losses import csq
from bench.planning import edited
from bench.planning.stage import Stage
from bench.storage import sources
from tests.conftest import Result

LOSS = """
from bench.interfaces import Loss
from bench.registry import LOSSES
from bench.types import HashingParameters
{imports}

@LOSSES.register
class Mine(Loss):
    version = 1
    class Params(HashingParameters): ...
    def terms(self, codes, labels, index):
        return {{"all": codes.square().mean() * {factor}}}
"""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What a process has read, and which plug-ins it knows."""
    path = list(sys.path)
    yield
    registry.LOSSES._registered.pop("mine", None)
    sys.path[:] = path
    for name in ("mine", "beside", "_beside"):
        sys.modules.pop(name, None)
    sources._sha256.cache_clear()
    edited._digest.cache_clear()


def source_of(path: Path) -> str:
    """Of the loss in a file, as a new process finds it."""
    registry.LOSSES._registered.pop("mine", None)
    sys.modules.pop("beside", None)
    sources._sha256.cache_clear()
    registry.include(path)
    digest = registry.source_of(registry.LOSSES.get("mine"))
    assert digest is not None
    return digest


def test_an_edited_file_is_another_source(folder: Path) -> None:
    mine, other = folder / "mine.py", folder / "elsewhere" / "mine.py"
    mine.write_text(LOSS.format(imports="", factor=1))
    first = source_of(mine)
    assert source_of(mine) == first
    other.parent.mkdir()
    other.write_text(mine.read_text())
    assert source_of(other) == first  # wherever it lies
    mine.write_text(LOSS.format(imports="", factor=2))
    assert source_of(mine) != first


@pytest.mark.parametrize("imports", [
    "from beside import FACTOR", "import beside", "from inner.deep import FACTOR", "import inner.deep",
])  # fmt: skip
def test_so_is_an_edit_of_a_module_beside_it_or_below_the_folder(folder: Path, imports: str) -> None:
    (folder / "plugins").mkdir()
    mine = folder / "plugins" / "mine.py"
    mine.write_text(LOSS.format(imports=imports, factor=1))
    helper = folder / "plugins" / "beside.py" if "beside" in imports else folder / "inner" / "deep.py"
    helper.parent.mkdir(exist_ok=True)
    helper.write_text("import further\nFACTOR = 1\n")
    further = folder / "further.py"
    further.write_text("")
    found = [source_of(mine)]
    helper.write_text("import further\nFACTOR = 2\n")
    found.append(source_of(mine))
    further.write_text("# edited")
    found.append(source_of(mine))
    (folder / "unrelated.py").write_text("")
    assert len(set(found)) == 3
    assert source_of(mine) == found[-1]
    for name in ("further", "inner", "inner.deep"):
        sys.modules.pop(name, None)


def test_of_an_entry_point_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_shared.py").write_text("FACTOR = 1\n")
    text = LOSS.format(imports="from theirs._shared import FACTOR", factor="FACTOR")
    (package / "own.py").write_text(text.replace("@LOSSES.register\n", ""))
    monkeypatch.syspath_prepend(str(folder))
    point = EntryPoint("own", "theirs.own:Mine", "hash_pareto.loss")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
    digests = []
    for factor in (1, 2):
        (package / "_shared.py").write_text(f"FACTOR = {factor}\n")
        sources._sha256.cache_clear()
        for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
            del sys.modules[name]
        digests.append(registry.source_of(registry.Registry("loss", "bench.losses").get("own")))
    assert None not in digests
    assert digests[0] != digests[1]


def test_ours_have_their_version_alone() -> None:
    for name, known in registry.REGISTRIES.items():
        for plugin in known.names():
            found = registry.source_of(known.get(plugin))
            assert registry.is_own(known.get(plugin)) == (found is None), f"{name}: {plugin}"
    for family in ("timm:test_resnet", "torchvision:resnet18"):
        assert registry.source_of(registry.STUDENTS.get(family)) is None


def test_an_edit_is_new_work(tiny: Callable[..., Result], folder: Path) -> None:
    """One file holds the loss alone, so that step 1 is found again."""
    edit = ("loss: [csq, dch]", "loss: [mine]")

    def made(factor: int, verb: str = "run") -> str:
        (folder / "mine.py").write_text(LOSS.format(imports="", factor=factor))
        result = tiny(verb, "--include", "mine.py", edit=edit)
        assert result.code == 0, result.err
        return result.out

    assert "2 of 2 cells ok" in made(1)
    assert "nothing to do" in made(1)
    assert "nothing to do" not in made(2)
    losses = [json.loads(path.read_text()) for path in folder.rglob("finetune/*/artifact.json")]
    digests = [index["spec"]["loss"].get("source") for index in losses]
    assert len(digests) == 4
    assert len(set(digests)) == 2
    assert len(list(folder.rglob("distill/*/artifact.json"))) == 1


def test_what_is_made_is_what_its_key_says(folder: Path) -> None:
    """A process of a run may read a file later than the run has."""
    mine = folder / "mine.py"
    mine.write_text(LOSS.format(imports="", factor=1))
    block = {"name": "mine", "version": 1, "source": source_of(mine)}
    stage = Stage("finetune", "slug", {"loss": block})
    edited.check(stage)
    mine.write_text(LOSS.format(imports="", factor=2))
    source_of(mine)
    with pytest.raises(UsageError, match="loss 'mine' is not what it was when the run began; run the same"):
        edited.check(stage)


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_an_edit_of_ours_is_warned_of(
    tiny: Callable[..., Result], done: Result, monkeypatch: pytest.MonkeyPatch, folder: Path, verb: str
) -> None:
    assert "has changed" not in tiny(verb).err
    copy = folder / "csq.py"
    copy.write_text(Path(str(csq.__file__)).read_text() + "# edited\n")
    monkeypatch.setattr(csq, "__file__", str(copy))
    edited._digest.cache_clear()
    (line,) = [line for line in tiny(verb).err.splitlines() if "has changed" in line]
    assert line.startswith("warning: csq.py has changed since finetune synthetic__tiny_student__")
    assert line.endswith("its version is still 2, and what is cached is used: raise it if results change")
    monkeypatch.setattr("bench.__version__", "0.2.0")  # versions are what tells releases apart
    assert "has changed" not in tiny(verb).err


def test_few_artifacts_are_looked_at(folder: Path) -> None:
    looked = []

    class Store:
        def path(self, *place: str) -> str:
            return place[1]

        def index(self, place: str) -> None:
            looked.append(place)

    blocks = {"loss": {"name": "csq", "version": 2}}
    stages = [Stage("finetune", str(number), {**blocks, "seed": number}) for number in range(10_000)]
    assert edited.warnings(stages, Store()) == []  # type: ignore[arg-type]
    assert len(looked) == edited.LOOKED_AT
