"""The CPUs of a device by their numbers: which are there, which are on line, and how fast each may run.

A list of values alone would not do: a core that is switched off drops out of it, and those behind it move up.
So every value is kept at its CPU's number, and None says that the CPU is off line or does not tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

FOLDER = "/sys/devices/system/cpu"
_LISTS = ("possible", "present", "online")
_ONLINE, _CURRENT, _CAP, _MAXIMUM = (
    "online",
    "cpufreq/scaling_cur_freq",
    "cpufreq/scaling_max_freq",
    "cpufreq/cpuinfo_max_freq",
)
_VALUES = (_ONLINE, _CURRENT, _CAP, _MAXIMUM)
_UNREADABLE = "-"

# Read by the shell itself: a program for each file would take longer than everything else in a reading.
CPUS_SCRIPT = f"""
for list in {" ".join(_LISTS)}; do
  value=
  {{ read -r value <"{FOLDER}/$list"; }} 2>/dev/null
  echo "$list ${{value:-{_UNREADABLE}}}"
done
for cpu in {FOLDER}/cpu[0-9]*; do
  line="cpu ${{cpu##*/cpu}}"
  for name in {" ".join(_VALUES)}; do
    value=
    {{ read -r value <"$cpu/$name"; }} 2>/dev/null
    line="$line ${{value:-{_UNREADABLE}}}"
  done
  echo "$line"
done
"""

_CPU_LINE = re.compile(r"cpu (\d{1,4})" + r" (\S+)" * len(_VALUES))
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


@dataclass(frozen=True)
class Cpus:
    """What a kernel says of its CPUs; None where it does not say.

    Attributes:
        count: CPUs that there are, on line or not.
        online: numbers of those on line, rising.
        frequencies_khz: current frequency, by CPU number.
        caps_khz: highest frequency allowed now, by CPU number; thermal drivers lower it.
        maxima_khz: highest frequency that the CPU has, by CPU number.
    """

    count: int | None = None
    online: tuple[int, ...] | None = None
    frequencies_khz: tuple[int | None, ...] | None = None
    caps_khz: tuple[int | None, ...] | None = None
    maxima_khz: tuple[int | None, ...] | None = None


def cpus_text(read_line: Callable[[str], str | None], numbers: Iterable[int]) -> str:
    """What CPUS_SCRIPT prints, for a machine whose files can be read without a shell.

    Args:
        read_line: the first line of a file below /sys/devices/system/cpu, None when it cannot be read.
        numbers: of the CPUs that have a folder there.
    """
    lines = [f"{name} {read_line(name) or _UNREADABLE}" for name in _LISTS]
    for number in numbers:
        values = (read_line(f"cpu{number}/{name}") or _UNREADABLE for name in _VALUES)
        lines.append(f"cpu {number} {' '.join(values)}")
    return "\n".join(lines)


def parse_cpus(text: str) -> Cpus:
    """Read the output of CPUS_SCRIPT."""
    lists: dict[str, tuple[int, ...] | None] = {}
    told: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        if name in _LISTS:
            lists[name] = parse_cpu_list(rest)
        elif match := _CPU_LINE.fullmatch(line.strip()):
            told[int(match[1])] = dict(zip(_VALUES, match.groups()[1:], strict=True))
    there = _there(lists.get("possible"), lists.get("present"))
    online = _online(lists.get("online"), told, there)
    numbers = there or tuple(sorted(told))

    def by_number(name: str, *, of_online_only: bool = True) -> tuple[int | None, ...] | None:
        values = {
            cpu: _khz(told[cpu][name])
            for cpu in numbers
            if cpu in told and (online is None or cpu in online or not of_online_only)
        }
        if not any(values.values()):
            return None
        return tuple(values.get(cpu) for cpu in range(numbers[-1] + 1))

    return Cpus(
        count=None if there is None else len(there),
        online=online,
        frequencies_khz=by_number(_CURRENT),
        caps_khz=by_number(_CAP),
        maxima_khz=by_number(_MAXIMUM, of_online_only=False),
    )


def parse_cpu_list(text: str) -> tuple[int, ...] | None:
    """Numbers from a list as the kernel writes it, ``0-3,6``; None when it is not one."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        match = _RANGE.fullmatch(part)
        if not match or int(match[1]) > int(match[2] or match[1]):
            return None
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(numbers))


def cpu_list_words(cpus: Iterable[int]) -> str:
    """Numbers for people: ``CPU 3``, ``CPUs 0-3,6``."""
    ranges: list[list[int]] = []
    for cpu in sorted(cpus):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    words = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    return f"CPU{'' if words.isdigit() else 's'} {words}"


def _there(possible: tuple[int, ...] | None, present: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Kernels of PCs and virtual machines count sockets among the possible CPUs that hold none."""
    if possible is None or present is None:
        return possible or None
    return tuple(cpu for cpu in possible if cpu in present) or None


def _online(
    listed: tuple[int, ...] | None, told: dict[int, dict[str, str]], there: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    flags = {cpu: values[_ONLINE] for cpu, values in told.items()}
    if listed is None and not any(flag in ("0", "1") for flag in flags.values()):
        return None
    # The first CPU often has no flag: it cannot be switched off.
    known = listed if listed is not None else there or tuple(sorted(told))
    return tuple(cpu for cpu in known if flags.get(cpu) != "0")


def _khz(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 0 else None
