"""Several commands in one round trip: a script that marks where each one's output begins."""

from __future__ import annotations

_MARK = "@@slm-section "


def section(name: str) -> str:
    """The shell command that marks the beginning of a section."""
    return f"echo; echo '{_MARK}{name}'"


def split_sections(text: str) -> dict[str, str]:
    """Section name -> what was printed in it; a command that did not finish its last line costs no other."""
    sections = {}
    for part in f"\n{text}".split(f"\n{_MARK}")[1:]:
        name, _, body = part.partition("\n")
        sections[name.strip()] = body
    return sections
