"""Find plug-ins by file name: the name in the grid is the name of the module that defines it.

A registry lists the modules of its package without importing them and imports one on ``get``. Plug-in
modules therefore import heavy packages (torch, torchvision) inside their functions: reading a grid
and planning it must not cost seconds.

Two more sources: entry points ``hash_pareto.<kind>`` of installed distributions, and single files
named with ``--include``. Whatever the source, a second plug-in under one name is an error.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from bench import environment
from bench.errors import UsageError, did_you_mean
from bench.interfaces import Dataset, Loss, Method, Metric, Network
from bench.storage import sources

T = TypeVar("T")
_C = TypeVar("_C", bound=type)

#: Plug-in of a user's -> digest of its source, see ``source_of``; and that of the file being included.
_sources: dict[type, str | None] = {}
_including: list[str] = []

#: What a plug-in is told that wants a package of its own which has the name of one of ours.
_OURS = (
    "; 'bench' and 'models' are the suite's own packages, and a plug-in finds those of its folder and of the "
    "working directory under other names: rename yours, or put it inside a package"
)


def _own(name: str) -> ModuleType:
    """A package of the suite.

    Raises:
        UsageError: a module of somebody else has its name, as ``models`` easily has.
    """
    try:
        environment.claim_packages()
    except environment.TakenError as error:
        raise UsageError(str(error)) from error
    return importlib.import_module(name)


class Registry(Generic[T]):
    """Name -> plug-in class of one kind.

    Args:
        kind: singular name used in messages, for example ``"loss"``.
        package: the package whose modules are the built-in plug-ins.
        families: prefix -> ``"module:attribute"`` of a factory for names such as ``timm:resnet18``;
            the factory takes the part behind the colon and returns a plug-in class.
        parent: another registry whose names are valid here too (a teacher may be used as a student).
    """

    def __init__(
        self,
        kind: str,
        package: str,
        *,
        families: dict[str, str] | None = None,
        parent: Registry[T] | None = None,
    ) -> None:
        self.kind = kind
        self.package = package
        self.families = families or {}
        self.parent = parent
        self._registered: dict[str, type[T]] = {}
        #: how often something was registered, be it for a second time
        self.registrations = 0
        self._targets: dict[str, _Target] | None = None

    def register(self, plugin: _C) -> _C:
        """Class decorator: register ``plugin`` under the name of the file it is defined in."""
        return self.register_as(plugin.__module__.rpartition(".")[2])(plugin)

    def register_as(self, name: str) -> Callable[[_C], _C]:
        """Class decorator for scripts and tests: register under an explicit ``name``."""

        def add(plugin: _C) -> _C:
            present, target = self._registered.get(name), self._lazy().get(name)
            if present is not None and _origin(present) != _origin(plugin):
                raise self._duplicate(name, _origin(present), _origin(plugin))
            if target is not None and target.module != plugin.__module__:
                raise self._duplicate(name, target.module, _origin(plugin))
            self._registered[name] = plugin
            self.registrations += 1
            if _including:
                _sources[plugin] = _including[-1]
            return plugin

        return add

    def names(self) -> list[str]:
        """All names that ``get`` accepts, without importing any plug-in; families are not listed."""
        inherited = self.parent.names() if self.parent else []
        return sorted({*self._lazy(), *self._registered, *inherited})

    def __contains__(self, name: str) -> bool:
        """Whether ``get`` accepts ``name``, a part of a family or not; no plug-in is imported."""
        prefix, colon, _ = name.partition(":")
        return bool(colon and prefix in self.families) or name in self.names()

    def get(self, name: str) -> type[T]:
        """Import and return the plug-in called ``name``.

        Raises:
            UsageError: unknown name; lists the close matches and every choice.
        """
        prefix, colon, rest = name.partition(":")
        if colon and prefix in self.families:
            module, _, attribute = self.families[prefix].partition(":")
            return getattr(importlib.import_module(module), attribute)(rest)  # type: ignore[no-any-return]
        if name not in self._registered and name in self._lazy():
            loaded = self._lazy()[name].load()
            if name not in self._registered and isinstance(loaded, type):
                self.register_as(name)(loaded)
        if name in self._registered:
            return self._registered[name]
        if self.parent is not None and name in self.parent.names():
            return self.parent.get(name)
        listed = ", ".join(self.names() + [f"{family}:<name>" for family in self.families])
        raise UsageError(f"unknown {self.kind} '{name}'{self._hint(name)} (choices: {listed})")

    def _hint(self, name: str) -> str:
        """What somebody may have meant who wrote ``name``."""
        kinds = [other.kind for other in REGISTRIES.values() if name in other.names()]
        if kinds:
            return f", which is a {kinds[0]}"
        _, colon, rest = name.partition(":")
        families = [f"{family}:{rest if colon else name}" for family in self.families]
        if colon:
            return did_you_mean(name, families)
        hint = did_you_mean(name, self.names())
        if families and not hint:
            return f"; a network of a library is written {' or '.join(families)}"
        return hint

    def _lazy(self) -> dict[str, _Target]:
        if self._targets is None:
            package = _own(self.package)
            self._targets = {
                module.name: _module_target(f"{self.package}.{module.name}")
                for module in pkgutil.iter_modules(package.__path__)
                if not module.name.startswith("_")
            }
            for entry in entry_points(group=f"hash_pareto.{self.kind}"):
                if entry.name in self._targets:
                    raise self._duplicate(entry.name, self._targets[entry.name].module, entry.value)
                self._targets[entry.name] = _Target(entry.module, entry.load)
        return self._targets

    def _duplicate(self, name: str, first: str, second: str) -> UsageError:
        return UsageError(
            f"two {self.kind} plug-ins are named '{name}': {first} and {second}; rename one of them"
        )


def include_all(paths: Iterable[Path]) -> None:
    """Import the plug-in files of ``--include``, one after the other."""
    for path in paths:
        include(path)


def include(path: Path) -> None:
    """Import the plug-in file ``path`` (``--include``); its decorators register what it defines."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise UsageError(f"--include {path}: {what}; pass the .py file that defines the plug-in")
    # The prefix keeps a user's torch.py from shadowing torch; the last part stays the plug-in's name.
    spec = importlib.util.spec_from_file_location(f"included.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--include {path}: not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    # Last, so that nothing there stands in the way of anybody else's packages.
    roots = [path.resolve().parent, Path.cwd()]
    sys.path += [str(place) for place in roots if str(place) not in sys.path]
    before = sum(registry.registrations for registry in REGISTRIES.values())
    _including.append(sources.digest(path.resolve(), roots))
    try:
        spec.loader.exec_module(module)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # its exit code would be taken for a verdict of ours
        cure = _OURS if isinstance(error, ImportError) and _names_ours(error) else ""
        raise UsageError(f"--include {path}: {type(error).__name__}: {error}{cure}") from error
    finally:
        _including.pop()
    if before == sum(registry.registrations for registry in REGISTRIES.values()):
        raise UsageError(
            f"--include {path}: registers no plug-in; put a decorator like @LOSSES.register above its class"
        )


def is_own(plugin: type) -> bool:
    """Whether a plug-in is one of the suite's."""
    return plugin.__module__.partition(".")[0] in {"bench", "models"}


def source_of(plugin: type) -> str | None:
    """Digest of the source of a user's plug-in, with that of modules beside it; None of the suite's own.

    None also where nobody knows the source, as of a class that was typed into an interpreter.
    """
    if is_own(plugin):
        return None
    if plugin not in _sources:
        _sources[plugin] = _source_elsewhere(plugin)
    return _sources[plugin]


def _source_elsewhere(plugin: type) -> str | None:
    """Of an installed plug-in its file counts, of one in a program that is run, or a notebook, its class."""
    file = getattr(sys.modules.get(plugin.__module__), "__file__", None)
    try:
        if plugin.__module__ != "__main__" and file is not None:
            return sources.digest(Path(file))
        return hashlib.sha256(inspect.getsource(plugin).encode()).hexdigest()
    except (OSError, TypeError):
        return None


def _names_ours(error: ImportError) -> bool:
    return (error.name or "").partition(".")[0] in {"bench", "models"}


@dataclass(frozen=True)
class _Target:
    """A plug-in that is known but not imported: the module that defines it, and how to load it."""

    module: str
    load: Callable[[], Any]


def _module_target(module: str) -> _Target:
    return _Target(module, lambda: importlib.import_module(module))


def _origin(plugin: type) -> str:
    return f"{plugin.__module__}.{plugin.__qualname__}"


_FAMILIES = {
    "timm": "models.families.zoo:timm_network",
    "torchvision": "models.families.zoo:torchvision_network",
}

DATASETS: Registry[Dataset] = Registry("dataset", "bench.datasets")
TEACHERS: Registry[Network] = Registry("teacher", "models.teachers", families=_FAMILIES)
STUDENTS: Registry[Network] = Registry("student", "models.students", families=_FAMILIES, parent=TEACHERS)
METHODS: Registry[Method] = Registry("method", "bench.methods")
LOSSES: Registry[Loss] = Registry("loss", "bench.losses")
METRICS: Registry[Metric] = Registry("metric", "bench.metrics")

REGISTRIES: dict[str, Registry[Any]] = {
    "datasets": DATASETS,
    "teachers": TEACHERS,
    "students": STUDENTS,
    "methods": METHODS,
    "losses": LOSSES,
    "metrics": METRICS,
}
