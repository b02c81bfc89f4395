"""What `slm recipe` and `slm study` have in common: where steps are kept, and who does them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.recipes.execution import OpenExecutor
    from toolkit.recipes.planning import Phones
    from toolkit.recipes.workspace import Workspace

WorkspaceFlag = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder of artifacts, logs and states. Default: recipes in the data folder.",
        rich_help_panel="Batch",
    ),
]
ShareFlag = Annotated[
    str | None,
    typer.Option(
        "--share",
        metavar="URL",
        help="Where hosts without common folders exchange artifacts: file:, sftp:, s3: ... (fsspec).",
        rich_help_panel="Batch",
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel="Output")]
ExecutorFlag = Annotated[
    str,
    typer.Option(
        help="local, ray (a cluster on this machine), or ray://HOST:PORT (a running cluster).",
        rich_help_panel="Batch",
    ),
]
JobsFlag = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="CPUs to use. Default: all.", rich_help_panel="Batch"),
]
LimitFlag = Annotated[
    int | None, typer.Option("--limit", min=1, help="Run at most N steps now.", rich_help_panel="Batch")
]


def workspace_of(path: Path | None, settings: Settings, share: str | None = None) -> Workspace:
    """The workspace of a command."""
    from toolkit.recipes.workspace import Workspace

    return Workspace.default(settings, share) if path is None else Workspace(path.absolute(), share)


def recipe_file(word: str, workspace: Workspace) -> Path:
    """The recipe that is meant: a file, one that comes with the toolkit, or one that was run here.

    Raises:
        UsageError: a name that none has.
    """
    from toolkit.cli.recipe_text import shipped_recipes
    from toolkit.errors import UsageError
    from toolkit.recipes.problems import nearest_choice

    path = Path(word)
    if path.is_file() or path.suffix in (".yaml", ".yml") or path.is_dir():
        return path
    named = {f"{one.parent.name}/{one.stem}": one for one, _ in shipped_recipes()}
    stems = [name for name in named if name.partition("/")[2] == word]
    if len(stems) == 1:
        named[word] = named[stems[0]]
    for name in workspace.batch_names():
        batch = workspace.batch_file(name)
        if batch is not None and Path(batch.recipe).is_file():
            named[name] = Path(batch.recipe)
    if word not in named:
        raise UsageError(
            "no such recipe",
            subject=word,
            next_step=f"{nearest_choice(word, sorted(named))} Or name a file; `slm init` writes one.",
        )
    return named[word]


def executor_of(name: str, jobs: int | None, workspace: Workspace, settings: Settings) -> OpenExecutor:
    """Whoever does the steps, opened when there is something to do.

    Raises:
        UsageError: no such executor.
    """
    if not _is_ray(name):
        from toolkit.recipes.executors.local_pool import LocalPool, cpu_count

        return lambda plan: LocalPool(workspace, settings, cpus=jobs or cpu_count())
    from toolkit.recipes.executors.ray_cluster import open_cluster

    return lambda plan: open_cluster(name, plan, workspace, settings, cpus=jobs)


def phones_of(executor: str) -> Phones:
    """What the word "phones" stands for with an executor.

    Raises:
        UsageError: no such executor.
    """
    if not _is_ray(executor):
        from toolkit.recipes.planning import phones_here

        return phones_here
    from toolkit.recipes.executors.ray_cluster import cluster_phones

    return lambda settings: cluster_phones(executor, settings)


def _is_ray(executor: str) -> bool:
    from toolkit.errors import UsageError

    if executor == "local":
        return False
    if executor == "ray" or executor.startswith("ray://"):
        return True
    raise UsageError(
        f"--executor {executor!r} does not exist", next_step="Use local, ray or ray://HOST:PORT."
    )
