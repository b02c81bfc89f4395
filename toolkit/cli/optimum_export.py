"""`optimum-cli export slm`: the same request as `slm convert`, among optimum's other exporters.

optimum loads this file at each of its starts, so that heavy imports stay inside the functions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from optimum.commands.base import BaseOptimumCLICommand, CommandInfo

from toolkit.export.request import ConvertRequest
from toolkit.request import RequestField

_ABOUT = (
    "Convert a causal language model for phones: quantized for an engine, as `slm convert` does "
    "(slm-toolkit). Options mean what they mean there."
)
# optimum's own exporters infer the task as well.
_AUTO = "auto"


class SlmExportCommand(BaseOptimumCLICommand):  # type: ignore[misc]
    """The command, as optimum registers it."""

    COMMAND = CommandInfo(name="slm", help="Export small language models for phones (slm-toolkit).")

    @staticmethod
    def parse_args(parser: argparse.ArgumentParser) -> None:
        """The arguments that optimum's exporters have, and the fields of the request."""
        parser.description = _ABOUT
        required = parser.add_argument_group("Required arguments")
        required.add_argument("-m", "--model", required=True, help=_field("model").option.help)
        required.add_argument("output", type=Path, help="Artifact folder to write.")
        optional = parser.add_argument_group("Optional arguments")
        optional.add_argument(
            "--task", default=_AUTO, help="text-generation, or auto: what the checkpoint is for is found out."
        )
        optional.add_argument("--force", action="store_true", help="Replace an existing artifact.")
        for field in ConvertRequest.options():
            if field.name != "model" and field.option.flags is not None:
                _add(optional, field)

    def run(self) -> None:
        """Convert; exit codes and messages are those of `slm convert`."""
        from toolkit.cli import edge

        given = vars(self.args)
        sys.exit(edge.run(lambda: convert(given)))


def convert(given: Mapping[str, Any]) -> None:
    """Convert as the command line asks.

    Args:
        given: arguments by name; those that were not given are absent or None.

    Raises:
        UsageError: a task that is not text generation.
        ToolkitError: see `toolkit.convert`.
    """
    import toolkit
    from toolkit.sources.tasks import check_task_name

    check_task_name(given["task"] if given["task"] != _AUTO else None)
    names = {field.name for field in ConvertRequest.options()}
    values = {name: value for name, value in given.items() if name in names and value is not None}
    request = ConvertRequest.of(**values)
    artifact = toolkit.convert(request, given["output"], force=given["force"])
    manifest = artifact.manifest
    print(f"{manifest.name}: {manifest.size_bytes / 1e6:.1f} MB in {artifact.path}")


def _field(name: str) -> RequestField:
    return next(field for field in ConvertRequest.options() if field.name == name)


def _add(parser: argparse._ArgumentGroup, field: RequestField) -> None:
    """One field as an argument; None stands for one that is not given."""
    flags = field.option.flags or (f"--{field.name.replace('_', '-')}",)
    kind = field.value_type
    text = field.option.help.replace("%", "%%")
    if kind is bool:
        on, _, off = flags[0].partition("/")
        # A flag that is there by default, or may be left open, needs a way to say no.
        off = off or (f"--no-{on.removeprefix('--')}" if len(flags) == 1 and not field.option.flags else "")
        parser.add_argument(on, dest=field.name, action="store_true", default=None, help=text)
        if off:
            parser.add_argument(off, dest=field.name, action="store_false", default=None, help=text)
        return
    choices = get_args(kind) or None
    scalar = kind if kind in (int, float, Path) else str
    parser.add_argument(*flags, dest=field.name, type=scalar, choices=choices, default=None, help=text)
