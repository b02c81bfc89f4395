"""A Ray cluster of several nodes on this machine, on loopback, small enough for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OBJECT_STORE_BYTES = 80_000_000
# A lost node is noticed within seconds, a busy one is given time.
_QUICK_TO_NOTICE = {"health_check_period_ms": 1000, "health_check_failure_threshold": 10}


@contextmanager
def cluster(
    *, head_cpus: int, data_dir: Path | None = None, resources: dict[str, float] | None = None
) -> Iterator[Any]:
    """A cluster with its head; add_node and remove_node do the rest. RAY_ADDRESS leads to it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Before ray is imported: it keeps to loopback then.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": head_cpus,
            "resources": resources or {},
            "object_store_memory": _OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_system_config": _QUICK_TO_NOTICE,
            "env_vars": {} if data_dir is None else {"SLM_DATA_DIR": str(data_dir)},
        },
    )
    try:
        yield made
    finally:
        made.shutdown()


def add_node(
    made: Any, *, cpus: int, data_dir: Path | None = None, resources: dict[str, float] | None = None
) -> Any:
    """A second node.

    Args:
        made: the cluster.
        cpus: that it offers.
        data_dir: its own data folder, when it shall not see that of the others.
        resources: its devices.
    """
    return made.add_node(
        num_cpus=cpus,
        object_store_memory=_OBJECT_STORE_BYTES,
        resources=resources or {},
        env_vars={} if data_dir is None else {"SLM_DATA_DIR": str(data_dir)},
    )
