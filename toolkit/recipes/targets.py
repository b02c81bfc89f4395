"""The words that a recipe has for devices."""

from __future__ import annotations

import platform
import re

from toolkit.devices.ssh.client import PREFIX as BOARD

LOCAL = "local"
VIRTUAL = "virtual"
PHONES = "phones"
DEVICE_WORDS = (LOCAL, VIRTUAL, PHONES)
MAXIMUM_VIRTUAL_PHONES = 16

_SERIAL = re.compile(r"(?=.*[0-9])[A-Za-z0-9._:-]+")
_VIRTUAL_COUNT = re.compile(r"virtual:([0-9]{1,2})")


def is_device_word(word: str) -> bool:
    """Whether it can be meant: a known word, a board, or what a serial looks like (it has a digit)."""
    if word in DEVICE_WORDS:
        return True
    if word.startswith(BOARD):
        return word != BOARD
    if word.startswith(f"{VIRTUAL}:"):
        return 1 <= virtual_count(word) <= MAXIMUM_VIRTUAL_PHONES
    return _SERIAL.fullmatch(word) is not None


def virtual_count(word: str) -> int:
    """How many virtual phones a word asks for; 0 when it asks for none."""
    if word == VIRTUAL:
        return 1
    match = _VIRTUAL_COUNT.fullmatch(word)
    return int(match[1]) if match else 0


def virtual_name(number: int) -> str:
    """The name of a virtual phone within a recipe: the n-th that runs, whatever its port is today."""
    return f"{VIRTUAL}-{number}"


def virtual_number(target: str) -> int | None:
    """Which virtual phone a resolved target is, counted from 1; None for other devices."""
    prefix, _, number = target.partition("-")
    return int(number) if prefix == VIRTUAL and number.isdigit() else None


def is_on_host(target: str) -> bool:
    """Whether a resolved target's processes are this machine's."""
    return target == LOCAL or virtual_number(target) is not None


def placed(target: str) -> list[str]:
    """A resolved target in a step's key: this machine is another device elsewhere, a serial is not."""
    return [target, platform.node() if is_on_host(target) else ""]
