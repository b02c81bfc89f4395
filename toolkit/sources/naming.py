"""Model names that are safe as file names."""

from __future__ import annotations

import re


def safe_name(text: str) -> str:
    """Letters, digits, dot, dash and underscore, not starting with a dot; "model" when nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "model"
