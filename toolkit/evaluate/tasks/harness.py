"""The harness behind one seam: tasks by name, with errors that say what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yaml import YAMLError

from toolkit.errors import EvaluationError, TaskDataMissing, TaskInvalid, UnknownTask, UsageError, first_line
from toolkit.evaluate.tasks.data_sets import DataSets, named_sets
from toolkit.extras import install_command
from toolkit.progress import stage
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
        self._data = DataSets()

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

    def check(self, name: str) -> None:
        """Refuse what :meth:`load` would refuse, as far as that shows without reading any data.

        Functions are imported. Of data it is asked only whether they are here, or their hub answers.

        Raises:
            ToolkitError: as :meth:`load` does.
        """
        from lm_eval.tasks._yaml_loader import load_yaml

        self._check(name)
        known = [entry.yaml_path for entry in self._entries(name)]
        configs = []
        for file in known or [Path(name)]:
            try:
                configs += [load_yaml(file)] if file is not None else []
            except _WRONG as error:
                raise _unusable(name, error) from error
        if why := self._data.lacking(configs):
            raise _data_missing(name, configs, why)

    def _read(self) -> Any:
        from lm_eval.tasks import TaskManager

        include = str(self._include) if self._include is not None else None
        return TaskManager(include_path=include, include_defaults=self._defaults)

    def _check(self, name: str) -> None:
        self._find(name)
        # Before its functions are loaded: those of tasks that run code run some at once.
        for config in self._configs(name):
            other = any(config.get(field) for field in _OTHER_INPUT)
            _refuse(str(config.get("task", name)), config.get("unsafe_code", False), other)

    def _find(self, name: str) -> None:
        if name in self._manager.all_tasks or Path(name).is_file():
            return
        if not self._defaults:
            self._defaults = True
            with stage("read the names of the harness's tasks"):
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
            raise _data_missing(name, self._configs(name), error) from error
        except _WRONG as error:
            if "find cache" in str(error) or "offline" in str(error).lower():
                raise _data_missing(name, self._configs(name), error) from error
            raise _unusable(name, error) from error

    def _configs(self, name: str) -> list[Mapping[str, Any]]:
        """What a task's file in the folders says, and those of all that a group or tag stands for."""
        return [entry.cfg or {} for entry in self._entries(name)]

    def _entries(self, name: str, groups: tuple[str, ...] = ()) -> Iterator[Any]:
        if name in groups:
            raise TaskInvalid(
                f"is a part of itself: {', which holds '.join((*groups, name))}",
                subject=f"task {name}",
                next_step="Take one of these groups out of the other's YAML file.",
            )
        entry = self._manager.task_index.get(name)
        if entry is None:
            return
        yield entry
        config = entry.cfg or {}
        children = config.get("task")
        tagged = [] if config else sorted(entry.tags)
        for child in [*(children if isinstance(children, list) else []), *tagged]:
            if isinstance(child, str) and child != name:
                yield from self._entries(child, (*groups, name))


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


def _unusable(name: str, error: Exception) -> UsageError | TaskInvalid:
    if (missing := _missing_package(name, error)) is not None:
        return missing
    return TaskInvalid(
        f"cannot be loaded: {first_line(error)}",
        subject=f"task {name}",
        next_step="Correct its YAML file; the harness's guide to tasks says what it may hold.",
    )


def _data_missing(name: str, configs: Iterable[Mapping[str, Any]], why: str | Exception) -> TaskDataMissing:
    said = why if isinstance(why, str) else first_line(why)
    sets = ", ".join(named_sets(configs)) or "its data set"
    return TaskDataMissing(
        f"its data ({sets}) are neither cached here nor to be downloaded: {said[:200]}",
        subject=f"task {name}",
        next_step=_fetched_elsewhere(name),
    )


def all_without_data(missing: Mapping[str, TaskDataMissing], tasks: str) -> TaskDataMissing:
    """One error for several tasks, which one command fetches.

    Args:
        missing: why, by the task's name.
        tasks: what was asked for.
    """
    said = "\n".join(f"    {name}: {error.what}" for name, error in missing.items())
    return TaskDataMissing(
        f"the data of {len(missing)} are not here\n{said}",
        subject=f"tasks {tasks}",
        next_step=_fetched_elsewhere(tasks),
    )


def _fetched_elsewhere(tasks: str) -> str:
    return (
        f"On a machine with a network run: slm evaluate --tasks {tasks} --fetch-only, then copy the folder "
        "that it names to this one and set HF_HOME to it."
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
