"""What the written pages share."""

from __future__ import annotations

import re

NOTE = "<!-- Written by `make docs`; do not edit. -->\n"


def cell(text: str) -> str:
    """Text for a cell of a table: in one line, nothing in it is markup."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
