"""What every Device does alike: this machine, and the virtual phone through the real adb client."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from toolkit.devices.base import Device
from toolkit.devices.shell_device import SIZE_OR_ABSENT
from toolkit.errors import DeviceTimeout, FileAbsent

NASTY = [
    "with space",
    "single'quote",
    'double"quote',
    "semi;colon",
    "$(touch pwned)",
    "`touch pwned`",
    "$HOME",
    "new\nline",
    "back\\slash",
    "star*",
    "-leading-dash",
    "ünïcode",
    "comma,0644",
    "#hash",
    "tab\there",
    "a && b || c",
]


@pytest.mark.parametrize("text", ["plain", "with ! and 'quotes' \\\\n \\0041 %b é"])
def test_a_command_is_told_what_to_do_while_it_runs(device: Device, text: str) -> None:
    reader, writer = os.pipe()
    heard: list[str] = []
    with os.fdopen(writer, "w") as say:

        def answer(line: str) -> None:
            heard.append(line)
            if len(heard) < 3:
                print(f"line {len(heard)}", file=say, flush=True)
            else:
                say.close()

        print("line 0", file=say, flush=True)
        script = 'while read -r line; do printf "%s %s\\n" "$1" "$line"; done; exit 3'
        result = device.converse(
            ["sh", "-c", script, "sh", text], os.fdopen(reader, "rb"), on_stdout_line=answer
        )
    assert (result.returncode, result.stdout) == (3, "")
    assert heard == [f"{text} line {number}" for number in range(3)]


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_the_commands_own_exit_code_comes_back(device: Device, code: int) -> None:
    assert device.shell(["sh", "-c", f"exit {code}"], timeout_s=10).returncode == code


def test_a_killed_command_is_reported_as_the_shell_would(device: Device) -> None:
    assert device.shell(["sh", "-c", "kill -9 $$"], timeout_s=10).returncode == 137


def test_a_missing_program_is_127(device: Device) -> None:
    result = device.shell(["no-such-program"], timeout_s=10)
    assert result.returncode == 127
    assert "no-such-program" in result.stderr


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "a", "a\n", "a\n\n", "\na", "a\n\nb"])
def test_stdout_comes_back_byte_for_byte(device: Device, text: str) -> None:
    assert device.shell(["printf", "%s", text], timeout_s=10).stdout == text


def test_stdout_and_stderr_stay_apart(device: Device) -> None:
    result = device.shell(["sh", "-c", "echo out; echo err >&2"], timeout_s=10)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("argument", NASTY)
def test_arguments_arrive_as_given(device: Device, argument: str) -> None:
    assert device.shell(["printf", "%s", argument], timeout_s=10).stdout == argument


def test_a_command_that_reads_stdin_sees_its_end(device: Device) -> None:
    assert device.shell(["cat"], timeout_s=10).stdout == ""


def test_lines_arrive_while_the_command_runs(device: Device) -> None:
    arrivals: list[tuple[str, float]] = []
    started = time.monotonic()
    device.shell(
        ["sh", "-c", "echo first; echo; sleep 1; printf last"],
        timeout_s=10,
        on_stdout_line=lambda line: arrivals.append((line, time.monotonic() - started)),
    )
    assert [line for line, _ in arrivals] == ["first", "", "last"]
    assert arrivals[0][1] < 0.9 < arrivals[-1][1]


def test_megabytes_of_output_come_back_whole(device: Device) -> None:
    result = device.shell(["sh", "-c", "yes 0123456789abcde | head -n 200000"], timeout_s=60)
    assert result.stdout == "0123456789abcde\n" * 200_000


def test_a_command_past_its_timeout_is_killed_with_what_it_started(device: Device) -> None:
    marker = f"{os.getpid()}.{time.time_ns() % 1_000_000}"
    started = time.monotonic()
    with pytest.raises(DeviceTimeout, match=device.serial):
        device.shell(["sh", "-c", f"sleep 100{marker} & sleep 200{marker}"], timeout_s=1)
    assert time.monotonic() - started < 5
    listing = device.shell(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"], timeout_s=10)
    assert f"sleep 100{marker}" not in listing.stdout
    assert f"sleep 200{marker}" not in listing.stdout


def test_an_error_in_the_line_callback_stops_the_command(device: Device) -> None:
    class Enough(Exception):
        pass

    def refuse(line: str) -> None:
        raise Enough(line)

    started = time.monotonic()
    with pytest.raises(Enough):
        device.shell(["sh", "-c", "echo go; sleep 100"], timeout_s=50, on_stdout_line=refuse)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", NASTY)
def test_files_travel_there_and_back_under_any_name(device: Device, tmp_path: Path, name: str) -> None:
    content = os.urandom(100_000)
    local = tmp_path / name
    local.write_bytes(content)
    remote = f"{device.workdir}/folder of {name}/{name}"
    device.push(local, remote)
    hashed = device.shell(["sha256sum", remote], timeout_s=10).stdout.lstrip("\\")
    assert hashed[:64] == hashlib.sha256(content).hexdigest()
    back = tmp_path / "back" / name
    back.parent.mkdir()
    device.pull(remote, back)
    assert back.read_bytes() == content
    assert os.listdir(back.parent) == [name]


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
def test_files_of_any_size_travel(device: Device, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "there").write_bytes(content)
    device.push(tmp_path / "there", f"{device.workdir}/file")
    device.pull(f"{device.workdir}/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


def test_an_executable_stays_executable(device: Device, tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    device.push(script, f"{device.workdir}/run.sh")
    assert device.shell([f"{device.workdir}/run.sh"], timeout_s=10).stdout == "ran\n"


def test_pushing_overwrites(device: Device, tmp_path: Path) -> None:
    for content in (b"long old content", b"new"):
        (tmp_path / "file").write_bytes(content)
        device.push(tmp_path / "file", f"{device.workdir}/file")
    assert device.shell(["cat", f"{device.workdir}/file"], timeout_s=10).stdout == "new"


def test_pulling_a_missing_file_fails_and_leaves_nothing(device: Device, tmp_path: Path) -> None:
    for path in ("no-such-file", "no-such-folder/no-such-file"):
        with pytest.raises(FileAbsent, match="no-such-file"):
            device.pull(f"{device.workdir}/{path}", tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob("back*"))


def test_a_file_is_absent_only_where_one_can_look(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "stat").chmod(0o755)

    def answer(path: Path, tools: str) -> str:
        command = ["sh", "-c", SIZE_OR_ABSENT, "sh", str(path)]
        return subprocess.run(command, env={"PATH": tools}, capture_output=True, text=True).stdout.strip()

    assert answer(tmp_path / "stat", "/usr/bin:/bin") == "17"
    assert answer(tmp_path / "stat", f"{tmp_path}:/usr/bin:/bin") == ""
    assert answer(tmp_path / "other", f"{tmp_path}:/usr/bin:/bin") == "absent"
    # Its folder is a file: that nothing can lie below it is known only where somebody looked.
    assert answer(tmp_path / "stat" / "below", "/usr/bin:/bin") == ""


def test_progress_runs_from_nothing_to_the_files_size(device: Device, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    seen: list[tuple[int, int]] = []
    device.push(tmp_path / "file", f"{device.workdir}/f", progress=lambda *step: seen.append(step))
    assert seen[0] == (0, 1_000_000)
    assert seen[-1] == (1_000_000, 1_000_000)
    assert seen == sorted(seen)


def test_readings_are_plausible(device: Device) -> None:
    readings = device.readings()
    assert readings.cpu_busy is not None and 0 <= readings.cpu_busy <= 1
    assert readings.available_ram_bytes is not None and readings.available_ram_bytes > 50e6
    assert readings.hottest_cpu_celsius is None or 0 < readings.hottest_cpu_celsius < 120


def test_info_says_what_the_device_is(device: Device) -> None:
    info = device.info()
    assert (info.serial, info.state) == (device.serial, "device")
    assert info.abi in ("x86_64", "arm64-v8a")
    assert info.cpu_cores == os.cpu_count()
    assert info.free_bytes == pytest.approx(device.free_space(), rel=0.1)
    assert info.emulated == (info.kind == "adb")


def test_a_locked_device_is_busy_for_the_next_and_free_afterwards(device: Device) -> None:
    from toolkit.errors import DeviceBusy

    with device.lock():
        with pytest.raises(DeviceBusy, match=f"process {os.getpid()}"), device.lock():
            pass
    with device.lock():
        pass
