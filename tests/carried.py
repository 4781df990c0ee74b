"""What nodes of a cluster do in tests; importing it takes no time, as nodes have to."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from bench.execution.pools.ray_task import gpu_number
from bench.storage.freight import Carrier, Depot, Place
from bench.storage.store import Store


class Weighed(Depot):
    """Says how much memory its process has."""

    def memory(self) -> int:
        """Bytes of its own: what it shares with Ray's object store is counted there."""
        status = Path("/proc/self/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))


def there_and_back(depot: Any, place: Place, content: str) -> Any:
    """Fetch an artifact and send it back as another one; the index of that."""
    import ray

    store = Store(Path(os.environ["BENCH_CACHE"]))

    def call(name: str, *arguments: Any, **more: Any) -> Any:
        return getattr(depot, name).remote(*arguments, **more)

    carrier, back = Carrier(store, call, ray.get), (place[0], "back", place[2])
    carrier.fetch(place, content)
    shutil.move(store.path(*place), store.path(*back))
    return carrier.send("ticket", back, fresh=False)


def gpu() -> tuple[str, int, str | None]:
    """The node, the GPU that a task has, and the GPUs that its process sees."""
    import ray

    time.sleep(1)  # so that all of a node are at work at once
    return ray.get_runtime_context().get_node_id(), gpu_number("cuda"), os.environ.get("CUDA_VISIBLE_DEVICES")
