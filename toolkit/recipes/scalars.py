"""Plain YAML scalars by the core schema of YAML 1.2, with the words refused that tools read differently.

YAML 1.1, which most parsers still speak, takes ``no``, ``off`` and ``y`` for booleans, ``010`` for eight and
``1:30`` for ninety. A recipe must mean the same to every reader, so these are errors and not guesses.
"""

from __future__ import annotations

import re

# What YAML 1.1 reads as a boolean and YAML 1.2 as text.
_BOOLEAN_WORDS = frozenset(
    form for word in ("y", "n", "yes", "no", "on", "off") for form in (word, word.capitalize(), word.upper())
)
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_NULL = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+")
_OTHER_BASE = re.compile(r"[-+]?0[xXoObB][0-9a-fA-F_]+")
# Longer ones are no count of anything here, and Python refuses to convert very long ones.
_MAXIMUM_DIGITS = 18


class AmbiguousScalar(ValueError):
    """A scalar that YAML tools read differently; the message says how to write it."""


def plain_value(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar.

    Raises:
        AmbiguousScalar: it has another meaning in another version of YAML, or is no usable number.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text in _BOOLEAN_WORDS:
        raise AmbiguousScalar(
            f"some YAML tools read {text} as a boolean; write true or false, or '{text}' in quotes"
        )
    if _LEADING_ZERO.fullmatch(text) or _OTHER_BASE.fullmatch(text):
        raise AmbiguousScalar(
            f"{text[:40]} is not a decimal number; write it in decimal, or in quotes if it is text"
        )
    if _UNDERSCORES.fullmatch(text):
        raise AmbiguousScalar(f"write {text[:40]} without underscores")
    if _SEXAGESIMAL.fullmatch(text):
        raise AmbiguousScalar(f"some YAML tools read {text[:40]} as a number in base 60; put it in quotes")
    if len(text) > _MAXIMUM_DIGITS and (_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)):
        raise AmbiguousScalar(f"{text[:20]}... is too long for a number")
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
