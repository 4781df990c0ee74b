"""The connection to a Ray cluster, made without a word of Ray's and ended without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from bench.errors import UsageError, require

#: Stands for the cluster that Ray finds: ``RAY_ADDRESS``, or the one that this machine is a node of.
AUTO = "auto"
#: Seconds that the address of a cluster has to answer: Ray itself would wait for minutes.
ANSWER = 5.0


@contextlib.contextmanager
def connection(address: str) -> Iterator[None]:
    """Be connected inside, unless the program is already.

    Args:
        address: ``HOST:PORT`` or ``AUTO``.

    Raises:
        UsageError: there is no such cluster, or it has another release of Ray or Python.
    """
    require("--executor ray", "ray", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        if address != AUTO:
            raise UsageError(
                "address: this program is connected to a Ray cluster already; leave the address out"
            )
        yield
        return
    try:
        _connect(address)
        yield
    finally:
        _disconnect()


def _connect(address: str) -> None:
    """To a cluster, without a word of Ray's.

    Raises:
        UsageError: it is not there, or has another release of Ray or Python.
    """
    import ray

    address = (os.environ.get("RAY_ADDRESS") or AUTO) if address == AUTO else address
    if "://" in address:
        raise UsageError(
            f"--address {address}: start the run on a machine of the cluster, with HOST:PORT or nothing"
        )
    host, _, port = address.rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
        except OSError as error:
            raise UsageError(
                f"no Ray cluster answers at {address} (--address, RAY_ADDRESS): {error}"
            ) from error
    # What Ray says of processes that have died would go to stdout, where results go.
    _worker()._worker_logs_enabled = False
    answer = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, configure_logging=False, log_to_driver=False)
    except ConnectionError as error:
        if address != AUTO:
            raise _silent(address) from error
        raise UsageError(
            "--executor ray: no Ray cluster runs on this machine; start one (ray start --head), have the "
            "machine join one (ray start --address HOST:PORT), or pass --address HOST:PORT"
        ) from error
    except RuntimeError as error:
        raise UsageError(f"--executor ray: {' '.join(str(error).split())}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, answer)  # Ray has put its own there


def _silent(address: str, why: str = "") -> UsageError:
    return UsageError(f"no Ray cluster answers at {address} (--address, RAY_ADDRESS){why}")


def _disconnect() -> None:
    import ray

    ray.shutdown()
    _worker()._worker_logs_enabled = True


def _worker() -> Any:
    """Where Ray has what it prints; there is no public way to have it be quiet."""
    return sys.modules["ray._private.worker"]
