"""generation_config.json: which tokens start and end a text."""

from __future__ import annotations

import json
from pathlib import Path


def write_generation_config(
    folder: Path, *, bos_token_id: int | None, end_token_ids: list[int], pad_token_id: int | None
) -> str:
    """Write the file and return its name; ids that are not known are left out."""
    fields: dict[str, int | list[int] | None] = {
        "bos_token_id": bos_token_id,
        "eos_token_id": end_token_ids[0] if len(end_token_ids) == 1 else end_token_ids or None,
        "pad_token_id": pad_token_id,
    }
    known = {key: value for key, value in fields.items() if value is not None}
    path = folder / "generation_config.json"
    path.write_text(json.dumps(known, indent=2) + "\n")
    return path.name
