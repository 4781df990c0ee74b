"""What stages may use beside their spec and inputs: where things are, the device, never a setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench import environment
from bench.data import loading
from bench.data.loading import LoadedDataset
from bench.data.pools import Pool
from bench.errors import CellError, DataError
from bench.interfaces import Network
from bench.planning.stage import Stage
from bench.registry import STUDENTS, TEACHERS, Registry
from bench.storage.store import Store
from bench.types import Advance, ImageSet, untold

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bench.training.checkpoints import Checkpoints
    from bench.training.inputs import PixelSource

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """Execution environment of a run.

    Attributes:
        weights: network and fingerprint of its weights -> the ``weights`` parameter that leads to them.
        hardware: fingerprint of where this runs.
        workers: processes that may decode image files.
        resumable: whether trainings keep how far they are, and go on from what an earlier run has kept.
    """

    store: Store
    data_root: Path
    device: torch.device
    weights: Mapping[tuple[str, str], str | None]
    hardware: str
    advance: Advance = untold
    workers: int = 0
    resumable: bool = True
    _kept: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def dataset(self, block: Mapping[str, Any]) -> LoadedDataset:
        """The data set of a stage's ``dataset`` block.

        Raises:
            DataError: it is another one than that of the spec by now.
        """
        loaded = self.dataset_here(block)
        if loaded.manifest_hash != block["manifest"]:
            raise DataError(
                f"{block['name']}: its images or splits are not those that this run began with; run it again"
            )
        return loaded

    def pool(self, stage: Stage) -> Pool:
        """What a stage of step 1 may look at.

        Raises:
            CellError: there is nothing.
            DataError: it is another pool than that of its spec by now.
        """
        assert stage.dataset is not None
        loaded, asked = self.dataset(stage.dataset), stage.dataset["pool"]
        found = loaded.pool(**asked)
        if found.digest != stage.spec["dataset"]["pool"]:
            name = stage.dataset["name"]
            raise DataError(f"{name}: step 1 would not see what this run began with; run it again")
        if not len(found.indices):
            cure = "name the set's training images"
            raise CellError(f"{loaded.splits.protocol} has no images in pool '{asked['part']}'; {cure}")
        return found

    def dataset_here(self, block: Mapping[str, Any]) -> LoadedDataset:
        """The data set with the name and the parameters of a block, whatever its images are."""
        return loading.load(block["name"], block["params"], self.data_root, block["limit"])

    def source(self, images: ImageSet) -> PixelSource:
        """The pixels of ``images`` on their way to the device."""
        from bench.training.inputs import PixelSource

        # Its source holds the pixels, so that no other ones can have their id.
        return self.kept(
            "source", id(images.pixels), lambda: PixelSource(images.pixels, self.device, self.workers)
        )

    def kept(self, kind: str, key: Any, make: Callable[[], T]) -> T:
        """What ``make`` makes, or made for the last stage if that wanted the same; one of each kind."""
        if kind not in self._kept or self._kept[kind][0] != key:
            self._kept.pop(kind, None)  # before the next one takes memory
            self._kept[kind] = key, make()
        found: T = self._kept[kind][1]
        return found

    def forget(self, kind: str) -> None:
        """Let go of what was kept."""
        self._kept.pop(kind, None)

    def teacher(self, block: Mapping[str, Any]) -> Network:
        """The teacher of a spec's network block."""
        return self._network(TEACHERS, block)

    def student(self, block: Mapping[str, Any]) -> Network:
        """The student of a spec's network block."""
        return self._network(STUDENTS, block)

    def tensors(self, stage: Stage, file: str) -> dict[str, Tensor]:
        """Tensors of an input stage's artifact, mapped from the file: what is not read costs no memory."""
        from safetensors.torch import load_file

        return load_file(self.store.path(*stage.place) / file)

    def partial(self, stage: Stage) -> Path:
        """A folder that keeps what an interrupted run of ``stage`` has done."""
        return self.store.partial(self.store.path(*stage.place))

    def checkpoints(self, stage: Stage, chosen: Mapping[str, Any]) -> Checkpoints:
        """Of the training that ``stage`` is.

        Args:
            chosen: parameters beside those of its spec, which trials that were made anew may have changed.
        """
        from bench.training.checkpoints import Checkpoints

        versions = environment.computing_packages().items()
        origin = {
            "stage": stage.key,
            "machine or number of threads": self.hardware,
            **{f"version of {package}": version for package, version in versions},
            **({"choice of what is searched": dict(chosen)} if chosen else {}),
        }
        folder = self.partial(stage) if self.resumable else None
        return Checkpoints(folder, f"{stage.kind} {stage.slug}", origin)

    def place(self, net: nn.Module) -> nn.Module:
        """``net`` on the device, channels last: several times faster for depthwise convolutions on CPUs."""
        import torch

        placed: nn.Module = net.to(self.device).to(memory_format=torch.channels_last)
        return placed

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """bfloat16 autocast for ``bf16``; does nothing for ``fp32``."""
        import torch

        return torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16")

    def _network(self, registry: Registry[Network], block: Mapping[str, Any]) -> Network:
        plugin = registry.get(block["name"])
        params = dict(block["params"])
        weights = self.weights.get((block["name"], block["weights"]))
        if weights is not None:
            params["weights"] = weights
        return plugin(plugin.Params.of(params))
