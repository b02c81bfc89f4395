"""The run description (``run.json``, schema slm-run/1): everything needed to store a run later.

It is put beside the result on the device before the runner starts. A run whose host died, or whose
link was cut, can so be stored by any later ``slm pull``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from toolkit.artifact import Frozen, Manifest
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.errors import ResultInvalid
from toolkit.profiling.request import ProfileRequest

# Version of docs/protocol.md; results of different versions are not comparable.
PROTOCOL = 2


class BundleIdentity(Frozen):
    """The runner bundle that ran; ``sha256`` covers every file in it."""

    engine: str
    engine_version: str
    abi: str
    sha256: str


class Origin(Frozen):
    """Who asked for a run: a recipe, one batch of it, and the tags that the recipe gives its runs."""

    recipe: str
    batch: str
    tags: tuple[str, ...] = ()


class RunDescription(Frozen):
    """A run as it was when it was started."""

    schema_: Literal["slm-run/1"] = Field("slm-run/1", alias="schema")
    run_id: str = Field(pattern="^[0-9a-z]{16}$")
    created_unix_ns: int
    protocol: int = PROTOCOL
    toolkit_version: str
    device: DeviceInfo
    options: ProfileRequest
    manifest: Manifest
    bundle: BundleIdentity
    argv: tuple[str, ...]
    before: Readings
    origin: Origin | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def to_json(self) -> str:
        """The file's content."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def parse_description(text: str, *, subject: str) -> RunDescription:
    """Read a run description.

    Raises:
        ResultInvalid: malformed, or of another schema version.
    """
    try:
        return RunDescription.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultInvalid(
            f"run.json does not validate at {where or 'its top'}: {first['msg']}",
            subject=subject,
            next_step="Pull it with the toolkit version that started the run.",
        ) from None
