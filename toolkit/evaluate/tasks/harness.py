"""The harness behind one seam: tasks by name, with errors that say what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import TaskDataMissing, TaskInvalid, UnknownTask, UsageError
from toolkit.extras import install_command
from toolkit.registry import did_you_mean


def prepare() -> None:
    """Keep the harness and its libraries quiet; call before it is imported.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import lm_eval.tasks  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--tasks needs the package {error.name}, which is not installed",
            next_step=install_command("evaluate"),
        ) from None
    import datasets

    datasets.disable_progress_bars()
    for name in ("lm_eval", "datasets", "fsspec", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)


class Tasks:
    """The tasks that there are.

    Args:
        include: a folder with YAML files of the user's; its tasks win.
    """

    def __init__(self, include: Path | None = None) -> None:
        if include is not None and not include.is_dir():
            raise UsageError(
                "is no folder",
                subject=str(include),
                next_step="Give the folder that holds the tasks' YAML files: --include-path DIR.",
            )
        self._include = include
        # The harness's own thousands of tasks are read only when one of them is asked for.
        self._defaults = False
        self._manager: Any = self._read()

    @property
    def manager(self) -> Any:
        """The harness's TaskManager that knows those read so far."""
        return self._manager

    def load(self, names: Sequence[str]) -> dict[str, Any]:
        """Tasks with their data, as the harness's TaskManager gives them.

        Args:
            names: of tasks, groups and tags, or paths of YAML files.

        Raises:
            UnknownTask: no such task.
            TaskDataMissing: its data set is neither cached nor to be downloaded.
            TaskInvalid: its file cannot be used.
        """
        for name in names:
            self._check(name)
        # One by one, so that a failure is known to be its own.
        built: list[Any] = []
        for name in names:
            loaded = self._load(name)
            groups = list(loaded.get("groups", {}).values())
            inner = {task for group in groups for task in (one.task_name for one in group.get_all_tasks())}
            nested = {one.name for group in groups for one in group.get_all_groups()}
            built += [group for group in groups if group.name not in nested]
            built += [task for key, task in loaded["tasks"].items() if key not in inner]
        found: dict[str, Any] = self._manager.load(built)
        return found

    def _read(self) -> Any:
        from lm_eval.tasks import TaskManager

        include = str(self._include) if self._include is not None else None
        return TaskManager(include_path=include, include_defaults=self._defaults)

    def _check(self, name: str) -> None:
        if name in self._manager.all_tasks or Path(name).is_file():
            return
        if not self._defaults:
            self._defaults = True
            self._manager = self._read()
            if name in self._manager.all_tasks:
                return
        raise UnknownTask(
            f"there is no task {name!r}",
            next_step=f"{did_you_mean(name, self._manager.all_tasks)}Tasks of your own: --include-path DIR. "
            "All names: lm-eval ls tasks",
        )

    def _load(self, name: str) -> Any:
        from datasets.exceptions import DatasetsError

        try:
            return self._manager.load([name])
        except (OSError, DatasetsError) as error:
            raise self._missing(name, error) from error
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            if "find cache" in str(error) or "offline" in str(error).lower():
                raise self._missing(name, error) from error
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise TaskInvalid(
                f"cannot be loaded: {said[:300]}",
                subject=f"task {name}",
                next_step="Correct its YAML file; the harness's guide to tasks says what it may hold.",
            ) from error

    def _missing(self, name: str, error: Exception) -> TaskDataMissing:
        sets = ", ".join(dict.fromkeys(self._data_sets(name))) or "its data set"
        said = (str(error).splitlines() or [type(error).__name__])[0]
        return TaskDataMissing(
            f"its data ({sets}) are neither cached here nor to be downloaded: {said[:200]}",
            subject=f"task {name}",
            next_step=f"On a machine with a network run: slm evaluate --tasks {name} --fetch-only, then copy "
            "the folder that it names to this one and set HF_HOME to it.",
        )

    def _data_sets(self, name: str) -> Iterator[str]:
        entry = self._manager.task_index.get(name)
        config = (entry.cfg or {}) if entry is not None else {}
        path = config.get("dataset_path")
        if isinstance(path, str):
            part = config.get("dataset_name")
            files = (config.get("dataset_kwargs") or {}).get("data_files")
            where = f" of {files}" if files else ""
            yield f"{path}/{part}{where}" if part else f"{path}{where}"
        children = config.get("task")
        tagged = sorted(entry.tags) if entry is not None and not config else []
        for child in [*(children if isinstance(children, list) else []), *tagged]:
            if isinstance(child, str) and child != name:
                yield from self._data_sets(child)
