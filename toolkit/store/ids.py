"""Run ids: 16 characters of an alphabet that can be read aloud and typed."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

# Crockford's base 32: without i, l, o, u.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 16


def new_run_id() -> str:
    """A random id of 80 bits; listings show its first 8 characters and any unique prefix finds the run."""
    return _id_of(secrets.token_bytes(10))


def id_of_text(text: str) -> str:
    """The run id that follows from a text: the same for the same text."""
    return _id_of(hashlib.sha256(text.encode()).digest()[:10])


def id_of_content(content: Any) -> str:
    """A run id that is the same for the same JSON data, for runs that came without one."""
    return _id_of(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest())


def _id_of(digest: bytes) -> str:
    number = int.from_bytes(digest, "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_LENGTH))
