"""Steps on a Ray cluster: Ray places them, moves them off lost nodes and counts CPUs, memory and phones.

A phone is a resource of the host that it hangs on (see cluster_devices), so that its profile runs go there
and one at a time. Artifacts and logs lie in the workspace, which every node must see under the same path.
With a share, each node has a workspace of its own, and artifacts go through the share.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from toolkit.errors import ClusterUnusable, UsageError, first_line
from toolkit.extras import install_command
from toolkit.recipes.executors.child import Answer, failed
from toolkit.recipes.executors.cluster_devices import (
    device_resource,
    node_resources,
    offered_devices,
    offered_phones,
)
from toolkit.recipes.executors.executor import Ended, Task
from toolkit.recipes.executors.local_pool import LocalPool, cpu_count, too_large
from toolkit.recipes.executors.ray_task import run_task
from toolkit.recipes.plan import Plan
from toolkit.recipes.planning import phones_here
from toolkit.recipes.steps import Resources, work_to_json
from toolkit.recipes.targets import PHONES, virtual_number
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

# Nothing goes through the object store but JSON; this is about the least that Ray takes.
_OBJECT_STORE_BYTES = 80_000_000
_LOOPBACK = "127.0.0.1"
# How often Ray starts a task again whose node or process was lost.
_LOST_RETRIES = 3
# A node that carried a phone may come back; after this the step is given up.
_PATIENCE_S = 60.0
_LOOK_S = 5.0
_INTERRUPT_S = 20.0
_GLANCE_S = 0.1


def cluster_phones(name: str, settings: Settings) -> list[str]:
    """What the word "phones" stands for: those of all hosts of a running cluster.

    Args:
        name: as for :func:`open_cluster`; a new cluster's only host is this machine.
        settings: says which adb.

    Raises:
        UsageError: ray is not installed.
        ClusterUnusable: the cluster cannot be reached.
        AdbServerFailed: adb of this machine cannot say which phones are attached.
    """
    address = _address(name)
    if not address:
        return phones_here(settings)
    # Ray prints warnings about lost nodes to stdout, which is for our caller's results.
    with redirect_stdout(sys.stderr):
        ray = _connected(address)
        try:
            return offered_phones(node for node in ray.nodes() if node["Alive"])
        finally:
            ray.shutdown()


def open_cluster(
    name: str, plan: Plan, workspace: Workspace, settings: Settings, *, cpus: int | None
) -> RayCluster:
    """Connect to a cluster, or start one on this machine for this batch.

    Args:
        name: "ray" for the cluster that RAY_ADDRESS names, or else a new one on this machine; or ray://HOST:PORT.
        plan: what will run; a new cluster offers the devices that it names.
        workspace: shared by all nodes.
        settings: store and caches.
        cpus: of a new cluster.

    Raises:
        UsageError: ray is not installed.
        ClusterUnusable: the cluster cannot be reached, or cannot take what the plan needs.
    """
    address = _address(name)
    if address:
        ray = _connected(address)
    else:
        devices = (step.resources.device for step in plan.to_do)
        ray = _connected(
            None,
            num_cpus=cpus or cpu_count(),
            resources=node_resources(device for device in devices if device),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
        )
    cluster = RayCluster(ray, workspace, settings)
    try:
        cluster.check(plan)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _address(name: str) -> str | None:
    return os.environ.get("RAY_ADDRESS") if name == "ray" else name


def _connected(address: str | None, **options: Any) -> Any:
    """The package ray, connected to a cluster, or to a new one with these options."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address or address.startswith(f"{_LOOPBACK}:"):
        # Ray reads it when it is imported. Without it a cluster of this machine alone listens to the whole
        # network, and one on loopback is looked for at the machine's outer address.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise UsageError("--executor ray needs the package ray", next_step=install_command("ray")) from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterUnusable(
            f"cannot be reached: {error}",
            subject=f"cluster {address or 'on this machine'}",
            next_step="Start one with: ray start --head, or leave the address out for one on this machine.",
        ) from None
    return ray


@dataclass
class RayCluster:
    """An executor on a connected cluster."""

    ray: Any
    workspace: Workspace
    settings: Settings
    name: str = "ray"
    on_this_host: bool = False
    _quiet: ExitStack = field(default_factory=ExitStack)
    _tasks: dict[Any, Task] = field(default_factory=dict)
    _refused: list[Ended] = field(default_factory=list)
    _here: LocalPool | None = None
    _here_tasks: int = 0
    _homeless_since_s: dict[str, float] = field(default_factory=dict)
    _next_look_s: float = 0.0

    def __post_init__(self) -> None:
        if self.workspace.share is not None:
            self._here = LocalPool(self.workspace, self.settings, cpus=cpu_count())
        # Ray prints warnings about lost nodes to stdout, which is for our caller's results.
        self._quiet.enter_context(redirect_stdout(sys.stderr))

    def check(self, plan: Plan) -> None:
        """Refuse a plan that this cluster can never finish.

        Raises:
            ClusterUnusable: no node has a device, or the nodes cannot share the store.
        """
        nodes = self._nodes()
        hosts = {node["NodeManagerHostname"] for node in nodes}
        writes = any(step.work.writes_store for step in plan.to_do)
        if writes and len(hosts) > 1 and self.settings.store_url.startswith("sqlite"):
            raise ClusterUnusable(
                f"{len(hosts)} hosts cannot write to one SQLite file",
                subject=self.settings.store_url,
                next_step="Set SLM_STORE_URL to a database server, e.g. postgresql+psycopg://user@host/slm",
            )
        for device in {step.resources.device for step in plan.to_do if step.resources.device}:
            if not any(device_resource(device) in node["Resources"] for node in nodes):
                raise _nowhere(device, offered_devices(nodes))

    def has_room(self, resources: Resources) -> bool:
        """Ray queues what does not fit yet."""
        return True

    def start(self, task: Task) -> None:
        """Hand a task to Ray; one that fits into no node's memory ends before it begins."""
        if self._here is not None and task.work.place == "here":
            self._here.start(task)
            self._here_tasks += 1
            return
        most = max((int(node["Resources"].get("memory", 0)) for node in self._nodes()), default=0)
        if task.resources.memory_bytes > most:
            self._refused.append(Ended(task.key, too_large(task.resources.memory_bytes, most)))
            return
        remote = self.ray.remote(run_task).options(
            name=task.title, max_retries=_LOST_RETRIES, **self._options(task.resources)
        )
        reference = remote.remote(
            {
                "key": task.key,
                "title": task.title,
                "work": work_to_json(task.work),
                "resources": dataclasses.asdict(task.resources),
                # With a share, hosts need not see each other's folders: each has a workspace of its own.
                "workspace": None if self.workspace.share else str(self.workspace.root),
                "share": self.workspace.share,
                "settings": self.settings.to_json(),
                "host": platform.node(),
            }
        )
        self._tasks[reference] = task

    def wait(self, timeout_s: float) -> Sequence[Ended]:
        """Wait for the first end of a task."""
        ended = [*self._refused, *self._ended_here(timeout_s)]
        self._refused = []
        if ended or not self._tasks:
            return ended
        ready, _ = self.ray.wait(list(self._tasks), num_returns=1, timeout=timeout_s)
        ended = [self._ended(reference, self._tasks.pop(reference)) for reference in ready]
        return ended or self._given_up()

    def _ended_here(self, timeout_s: float) -> Sequence[Ended]:
        if self._here is None or not self._here_tasks:
            return []
        ended = self._here.wait(_GLANCE_S if self._tasks else timeout_s)
        self._here_tasks -= len(ended)
        return ended

    def interrupt(self) -> None:
        """Cancel everything, which is Ctrl-C to a task that runs, and wait a moment."""
        if self._here is not None:
            self._here.interrupt()
        for reference in self._tasks:
            self.ray.cancel(reference)
        self.ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=_INTERRUPT_S)
        self.close()

    def close(self) -> None:
        """Leave the cluster; one that was started for this batch ends."""
        if self._here is not None:
            self._here.close()
        self._tasks.clear()
        self.ray.shutdown()
        self._quiet.close()

    def _options(self, wanted: Resources) -> dict[str, Any]:
        # A step may declare more CPUs than any node has: it gets a whole node, as it gets a whole machine.
        most = max((node["Resources"].get("CPU", 0) for node in self._nodes()), default=0)
        options: dict[str, Any] = {"num_cpus": min(wanted.cpus, most), "scheduling_strategy": "SPREAD"}
        if wanted.memory_bytes:
            options["memory"] = wanted.memory_bytes
        if wanted.device is not None:
            name = device_resource(wanted.device)
            options["resources"] = {name: 1}
            # All CPUs of the host with the device: nothing else runs there while it is measured.
            homes = [node["Resources"] for node in self._nodes() if name in node["Resources"]]
            if wanted.whole_host and homes:
                options["num_cpus"] = homes[0].get("CPU", 0)
        return options

    def _ended(self, reference: Any, task: Task) -> Ended:
        try:
            told = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            return Ended(task.key, self._lost(error))
        if told["log"]:
            task.log.parent.mkdir(parents=True, exist_ok=True)
            with task.log.open("a", encoding="utf-8") as file:
                file.write(told["log"])
        return Ended(task.key, Answer.model_validate(told["answer"]), told["peak_bytes"])

    def _lost(self, error: Exception) -> Answer:
        """What is known of a task that Ray has no answer of."""
        errors = self.ray.exceptions
        if isinstance(error, errors.TaskCancelledError):
            return Answer(outcome="interrupted", error="interrupted", exit_code=130)
        if isinstance(error, errors.OutOfMemoryError):
            return failed(
                f"Ray killed it because memory ran out: {first_line(error)}",
                "take a node with more memory, or set limits.memory_gb in the recipe to what it takes",
            )
        if isinstance(error, errors.RayTaskError):
            return failed(_last_line(error), "install the same slm-toolkit on every node", exit_code=70)
        return failed(
            f"its node or process was lost again and again: {first_line(error)}",
            "see with `ray status` which nodes are up, and run the recipe again: what is done stays done",
            again=True,
        )

    def _given_up(self) -> list[Ended]:
        """Tasks that wait for a device whose node is gone for too long."""
        now = time.monotonic()
        if now < self._next_look_s:
            return []
        self._next_look_s = now + _LOOK_S
        present = {name for node in self._nodes() for name in node["Resources"]}
        ended = []
        for reference, task in list(self._tasks.items()):
            device = task.resources.device
            if device is None or device_resource(device) in present:
                self._homeless_since_s.pop(task.key, None)
            elif now - self._homeless_since_s.setdefault(task.key, now) > _PATIENCE_S:
                self.ray.cancel(reference, force=True)
                del self._tasks[reference]
                gone = failed(f"the node with the device {device} is gone", _offer(device), exit_code=8)
                ended.append(Ended(task.key, gone))
        return ended

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]


def _nowhere(device: str, offered: Sequence[str]) -> ClusterUnusable:
    """The error of a device that no node has."""
    what = "no node has a phone" if device == PHONES else f"no node has the device {device}"
    return ClusterUnusable(
        f"{what}; they have {', '.join(offered) or 'none at all'}",
        subject="the Ray cluster",
        next_step=_offer(device),
    )


def _offer(device: str) -> str:
    """How a node comes to have a device."""
    start = 'ray start --address=HEAD --resources="$(slm recipe resources)"'
    if virtual_number(device) is not None:
        start = f"slm devices emulate, then {start}"
    return f"On its host: {start}"


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
