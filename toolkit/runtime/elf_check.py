"""Checks that the loader on a device would fail on, made before anything is sent there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from toolkit.errors import EngineMismatch
from toolkit.runtime.elf import MACHINES, BadElf, ElfFile, read_elf

# Android 15 phones may have pages of 16 KB; a library aligned to less cannot be mapped there.
MINIMUM_ALIGNMENT_BYTES = {"x86_64": 4096, "arm64-v8a": 16384}
_SHOWN_PROBLEMS = 12


def check_elf_files(files: Mapping[str, Path], abi: str, *, subject: str) -> None:
    """Refuse a set of programs and libraries that cannot run together on a device of ``abi``.

    Every file must be of that ABI and aligned to its pages; every library that one needs must be among them
    with the symbol versions and the symbols that are asked of it.

    Args:
        files: file name, as the loader looks for it -> file here.
        abi: in Android's words.
        subject: what the files are, for the error.

    Raises:
        EngineMismatch: names every problem.
    """
    problems: list[str] = []
    loaded: dict[str, ElfFile] = {}
    for name, path in files.items():
        try:
            loaded[name] = read_elf(path)
        except BadElf as error:
            problems.append(f"{name}: {error}")
    for name, elf in loaded.items():
        problems += [f"{name}: {problem}" for problem in _alone(elf, abi)]
        problems += [f"{name}: {problem}" for problem in _together(name, loaded)]
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        listing = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise EngineMismatch(
            f"would not start on a device of {abi}: {listing}",
            subject=subject,
            next_step="This is a bug of the toolkit with this engine version or compiler: please report it.",
        )


def _alone(elf: ElfFile, abi: str) -> Iterator[str]:
    if elf.machine != MACHINES[abi]:
        yield f"made for another processor (e_machine {elf.machine}, {abi} is {MACHINES[abi]})"
    minimum = MINIMUM_ALIGNMENT_BYTES[abi]
    if not elf.load_alignments:
        yield "has no segment to load"
    elif min(elf.load_alignments) < minimum:
        yield f"segments aligned to {min(elf.load_alignments)} bytes, {minimum} are needed"
    if elf.misplaced_segments:
        yield "a segment's address does not fit its offset"


def _together(name: str, files: Mapping[str, ElfFile]) -> Iterator[str]:
    elf = files[name]
    absent = [library for library in elf.needed if library not in files]
    yield from (f"needs {library}, which is missing" for library in absent)
    for library, version in sorted(elf.required_versions):
        if library in files and version not in files[library].provided_versions:
            yield f"needs {version} of {library}, which has no such version"
    if absent:
        # Without these, what is undefined says nothing.
        return
    given = set().union(*(files[library].defined for library in _scope(name, files)))
    names = {symbol for symbol, _ in given}
    for symbol, wanted in sorted(elf.undefined, key=str):
        # The loader takes a symbol without a version for any version, on either side.
        found = symbol in names if wanted is None else bool(given & {(symbol, wanted), (symbol, None)})
        if not found:
            yield f"symbol {symbol}{f'@{wanted}' if wanted else ''} is defined nowhere"


def _scope(name: str, files: Mapping[str, ElfFile]) -> set[str]:
    """A file and everything that it needs, directly or not."""
    found, waiting = {name}, [name]
    while waiting:
        following = [library for library in files[waiting.pop()].needed if library in files]
        waiting += [library for library in following if library not in found]
        found.update(following)
    return found
