"""The harness behind one seam: tasks by name, with errors that say what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yaml import YAMLError

from toolkit.errors import EvaluationError, TaskDataMissing, TaskInvalid, UnknownTask, UsageError
from toolkit.extras import install_command
from toolkit.registry import did_you_mean

# How the harness's own messages name the extra that a task's functions need.
_HARNESS_EXTRA = re.compile(r"lm[-_]eval\[\w+\]")
# What loading a task raises when its file, or a function that it names, is wrong.
_WRONG = (ImportError, ValueError, KeyError, TypeError, AttributeError, AssertionError, YAMLError)
_OTHER_INPUT = ("doc_to_image", "doc_to_audio")


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
            EvaluationError: it runs what a model writes, or shows pictures.
            UsageError: its functions need a package that is not installed.
        """
        for name in names:
            self._check(name)
            # Before its functions are loaded: those of tasks that run code run some at once.
            for config in self._configs(name):
                other = any(config.get(field) for field in _OTHER_INPUT)
                _refuse(str(config.get("task", name)), config.get("unsafe_code", False), other)
        # One by one, so that a failure is known to be its own.
        built: list[Any] = []
        for name in names:
            loaded = self._load(name)
            # Files beside the folder, and tasks in Python, were not known before.
            for task, one in loaded["tasks"].items():
                _refuse(task, getattr(one, "UNSAFE_CODE", False), getattr(one, "MULTIMODAL", False))
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
        except _WRONG as error:
            if "find cache" in str(error) or "offline" in str(error).lower():
                raise self._missing(name, error) from error
            if (missing := _missing_package(name, error)) is not None:
                raise missing from error
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
        for config in self._configs(name):
            path = config.get("dataset_path")
            if isinstance(path, str):
                part = config.get("dataset_name")
                files = (config.get("dataset_kwargs") or {}).get("data_files")
                where = f" of {files}" if files else ""
                yield f"{path}/{part}{where}" if part else f"{path}{where}"

    def _configs(self, name: str) -> Iterator[Mapping[str, Any]]:
        """What a task's file in the folders says, and those of all that a group or tag stands for."""
        entry = self._manager.task_index.get(name)
        config = (entry.cfg or {}) if entry is not None else {}
        yield config
        children = config.get("task")
        tagged = sorted(entry.tags) if entry is not None and not config else []
        for child in [*(children if isinstance(children, list) else []), *tagged]:
            if isinstance(child, str) and child != name:
                yield from self._configs(child)


def _refuse(name: str, unsafe: bool, other_input: bool) -> None:
    """The harness refuses these itself, in words for its own callers."""
    if unsafe:
        raise EvaluationError(
            "runs the code that a model writes, which is not done here",
            subject=f"task {name}",
            next_step="Leave it out.",
        )
    if other_input:
        raise EvaluationError(
            "shows pictures or plays sound; only text can be asked",
            subject=f"task {name}",
            next_step="Leave it out.",
        )


def _missing_package(name: str, error: Exception) -> UsageError | None:
    """What a task's functions import and is not here; None where something else is wrong."""
    # The harness's own tasks name the extra that brings all they need, others only the module.
    if extra := _HARNESS_EXTRA.search(str(error)):
        return UsageError(
            f"needs the packages of {extra[0]}, of which one is missing or of another version",
            subject=f"task {name}",
            next_step=f"Install them: pip install '{extra[0]}'",
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return UsageError(
            f"its functions import {error.name}, which is not installed",
            subject=f"task {name}",
            next_step=f"Install the package that brings it, most likely: pip install {package}",
        )
    return None
