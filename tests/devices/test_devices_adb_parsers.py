"""adb's own text, captured from adb 29 and 36, and the shell protocol on top of it."""

from __future__ import annotations

import pickle
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.adb.parsers import (
    AttachedDevice,
    ConnectOutcome,
    Failure,
    classify_failure,
    parse_connect,
    parse_devices,
)
from toolkit.devices.marked_shell import BetweenMarkers, MarkedOutput, remote_script

DEVICES = """\
* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
0A041FDD40058E         device usb:1-2 product:shiba model:Pixel_8 device:shiba transport_id:4
R58N12ABCDE            unauthorized usb:1-1.4 transport_id:2
emulator-5554          offline transport_id:3
127.0.0.1:5601         device product:vphone model:Virtual_Pixel_8 device:vphone transport_id:1
ce0717171c16           no permissions (user in plugdev group; are your udev rules wrong?); see \
[http://developer.android.com/tools/device.html] usb:3-1 transport_id:9
0123456789ABCDEF       no permissions; see [http://developer.android.com/tools/device.html] usb:1-3
adb-33001-x (2)._adb-tls-connect._tcp device product:x model:Y device:z transport_id:7
8e1c1f2                authorizing usb:1-5 transport_id:8
FA6A70301234           recovery usb:1-6 product:a model:b device:c transport_id:10

"""


def test_every_state_that_adb_lists_is_read() -> None:
    found = {device.serial: device.state for device in parse_devices(DEVICES) or []}
    no_rules = (
        "no permissions (user in plugdev group; are your udev rules wrong?); "
        "see [http://developer.android.com/tools/device.html]"
    )
    assert found == {
        "0A041FDD40058E": "device",
        "R58N12ABCDE": "unauthorized",
        "emulator-5554": "offline",
        "127.0.0.1:5601": "device",
        "ce0717171c16": no_rules,
        "0123456789ABCDEF": "no permissions; see [http://developer.android.com/tools/device.html]",
        "adb-33001-x (2)._adb-tls-connect._tcp": "device",
        "8e1c1f2": "authorizing",
        "FA6A70301234": "recovery",
    }


def test_the_tags_of_a_device_are_read() -> None:
    tags = {"usb": "1-2", "product": "shiba", "model": "Pixel_8", "device": "shiba", "transport_id": "4"}
    assert (parse_devices(DEVICES) or [])[0] == AttachedDevice("0A041FDD40058E", "device", tags)


def test_no_device_is_an_empty_list() -> None:
    assert parse_devices("List of devices attached\n\n") == []


@pytest.mark.parametrize("line", ["R5CT1\tfrozen", "R5CT1                  frozen usb:1-1 transport_id:3"])
def test_a_phone_in_a_state_that_nobody_knows_is_attached(line: str) -> None:
    """Or this machine would be measured in its place."""
    [device] = parse_devices(f"List of devices attached\n{line}\nWARNING: linker: unused DT entry\n") or []
    assert (device.serial, device.state) == ("R5CT1", "frozen")


def test_no_list_is_not_an_empty_list() -> None:
    assert parse_devices("") is None
    assert parse_devices("* daemon not running; starting now at tcp:5037\n") is None


@given(st.text())
def test_any_text_is_a_list_of_devices_and_never_an_exception(text: str) -> None:
    for device in parse_devices(f"List of devices attached\n{text}") or []:
        assert device.serial and device.state


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("connected to 127.0.0.1:5601\n", ConnectOutcome.CONNECTED),
        ("* daemon started successfully\nconnected to 127.0.0.1:5601\n", ConnectOutcome.CONNECTED),
        ("already connected to 127.0.0.1:5601\n", ConnectOutcome.CONNECTED),
        ("failed to authenticate to 127.0.0.1:5601\n", ConnectOutcome.AUTHENTICATING),
        ("failed to connect to '127.0.0.1:9': Connection refused\n", ConnectOutcome.FAILED),
        ("cannot connect to 127.0.0.1:9: Connection refused (111)\n", ConnectOutcome.FAILED),
        ("failed to connect to 10.1.1.1:5555\n", ConnectOutcome.FAILED),
        ("missing port in specification: tcp:abc\n", ConnectOutcome.FAILED),
        ("", ConnectOutcome.FAILED),
    ],
)
def test_connect_is_judged_by_its_text(text: str, outcome: ConnectOutcome) -> None:
    assert parse_connect(text) is outcome


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("adb: error: failed to copy 'm' to '/d/m': remote No space left on device", Failure.FULL),
        (
            "adb: error: failed to copy 'm' to '/d/m': remote write failed: No space left on device",
            Failure.FULL,
        ),
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", Failure.UNAUTHORIZED),
        ("adb: device unauthorized.", Failure.UNAUTHORIZED),
        ("error: insufficient permissions for device: user in plugdev group", Failure.NO_PERMISSIONS),
        ("error: more than one device", Failure.AMBIGUOUS),
        ("error: more than one device/emulator", Failure.AMBIGUOUS),
        ("adb: more than one device/emulator", Failure.AMBIGUOUS),
        ("error: more than one emulator", Failure.AMBIGUOUS),
        ("error: device '127.0.0.1:5601' not found", Failure.LOST),
        ("adb: device 'R58N12ABCDE' not found", Failure.LOST),
        ("adb: device offline", Failure.LOST),
        ("error: closed", Failure.LOST),
        ("error: protocol fault (couldn't read status): Success", Failure.LOST),
        ("adb: error: failed to read copy response: EOF", Failure.LOST),
        ("[  0%] /data/local/tmp/file", Failure.LOST),
        ("", Failure.LOST),
        ("adb: error: failed to stat remote object '/x': No such file or directory", Failure.MISSING_FILE),
        (
            "adb: error: failed to copy 'a' to '/x': remote couldn't create file: Permission denied",
            Failure.DENIED,
        ),
        ("adb: error: failed to copy 'unauthorized' to '/x': remote fchown failed: Oops", Failure.OTHER),
    ],
)
def test_failures_are_told_apart(text: str, failure: Failure) -> None:
    assert classify_failure(text) is failure


TOKEN = "slm-0123456789abcdef"
# Nearly markers: of another call, and of this one without its exit code.
ALMOST = ["slm-fedcba9876543210 rc 0", f"{TOKEN} rc $status", f"echo {TOKEN} rc 0"]
outputs = st.lists(st.sampled_from([*ALMOST, "a", "\n", "ü", "two words", "\r"])).map("".join)


@given(outputs, st.integers(0, 255), st.lists(st.integers(1, 7), min_size=1))
def test_output_is_separated_from_the_markers_however_it_is_cut(
    text: str, code: int, pieces: list[int]
) -> None:
    lines: list[str] = []
    marked = MarkedOutput(TOKEN, lines.append)
    data = f"{TOKEN} pid 321\n{text}\n{TOKEN} rc {code}\n".encode()
    position = turn = 0
    while position < len(data):
        step = pieces[turn % len(pieces)]
        marked.feed(data[position : position + step])
        position, turn = position + step, turn + 1
    assert (marked.pid, marked.returncode) == (321, code)
    assert marked.text == text
    assert lines == (text.removesuffix("\n").split("\n") if text else [])


@given(outputs, st.integers(0, 255), st.sampled_from([b"\r\n", b"\r\r\n"]))
def test_lines_that_end_as_on_a_terminal_are_the_same_output(text: str, code: int, line_end: bytes) -> None:
    plain, old = MarkedOutput(TOKEN), MarkedOutput(TOKEN)
    data = f"{TOKEN} pid 321\n{text}\n{TOKEN} rc {code}\n".encode()
    plain.feed(data)
    old.feed(data.replace(b"\n", line_end))
    assert (old.pid, old.returncode, old.text) == (321, code, plain.text)


# What a start file or a linker prints before the first marker, of any shape.
greetings = st.lists(st.sampled_from([*ALMOST, "Welcome", "\n", "\r\n", "ü", f"{TOKEN} pid"])).map("".join)


@given(greetings, outputs)
def test_what_comes_before_the_first_marker_is_not_output(greeting: str, text: str) -> None:
    lines: list[str] = []
    marked = MarkedOutput(TOKEN, lines.append)
    marked.feed(f"{greeting}\n{TOKEN} pid 321\n{text}\n{TOKEN} rc 0\n".encode())
    assert (marked.pid, marked.returncode, marked.text) == (321, 0, text)
    assert lines == (text.removesuffix("\n").split("\n") if text else [])


@pytest.mark.parametrize("kind", ["MarkedOutput", "BetweenMarkers"])
@pytest.mark.parametrize("greeting", [b"x", b"Welcome to this board.\n"], ids=["one line", "lines"])
def test_a_greeting_of_20_megabytes_costs_neither_time_nor_memory(greeting: bytes, kind: str) -> None:
    # In the pieces of a pipe; the shortest limit of a call is 5 s, and each call has the greeting.
    piece = (greeting * 16384)[:16384]
    got = bytearray()
    marked, between = MarkedOutput(TOKEN), BetweenMarkers(TOKEN, got.extend)
    feed = marked.feed if kind == "MarkedOutput" else between.feed
    began = time.process_time()
    for _ in range(20_000_000 // len(piece)):
        feed(piece)
    assert time.process_time() - began < 3
    held = pickle.dumps(vars(marked)) if kind == "MarkedOutput" else between._waiting
    assert len(held) < 10_000
    if kind == "MarkedOutput":
        feed(f"\n{TOKEN} pid 7\nhello\n\n{TOKEN} rc 3\n".encode())
        assert (marked.pid, marked.text, marked.returncode) == (7, "hello\n", 3)
    else:
        feed(f"\n{TOKEN}\nhello\n{TOKEN}\n".encode())
        assert got == b"hello"


def test_one_line_of_output_of_20_megabytes_arrives_whole_and_at_once() -> None:
    marked, began = MarkedOutput(TOKEN), time.process_time()
    marked.feed(f"\n{TOKEN} pid 7\n".encode())
    for _ in range(20_000_000 // 16384):
        marked.feed(b"x" * 16384)
    marked.feed(f"\n\n{TOKEN} rc 0\n".encode())
    assert time.process_time() - began < 3
    assert marked.text == "x" * (20_000_000 // 16384 * 16384) + "\n"


def test_output_without_its_first_marker_is_none() -> None:
    marked = MarkedOutput(TOKEN)
    marked.feed(b"Welcome\n0 files\n")
    assert (marked.pid, marked.returncode, marked.text) == (None, None, "")


@given(greetings, st.binary(), greetings, st.lists(st.integers(1, 30), min_size=1), st.booleans())
def test_bytes_are_passed_on_between_the_markers_however_they_are_cut(
    greeting: str, payload: bytes, farewell: str, pieces: list[int], whole: bool
) -> None:
    passed = bytearray()
    stream = BetweenMarkers(TOKEN, passed.extend)
    end = f"\n{TOKEN}\n{farewell}".encode() if whole else b""
    data = f"{greeting}\n{TOKEN}\n".encode() + payload + end
    position = turn = 0
    while position < len(data):
        step = pieces[turn % len(pieces)]
        stream.feed(data[position : position + step])
        position, turn = position + step, turn + 1
    assert bytes(passed) == payload if whole else payload.startswith(passed)


@given(outputs, st.data())
def test_output_that_stops_early_has_no_exit_code(text: str, data: st.DataObject) -> None:
    whole = f"{TOKEN} pid 321\n{text}\n{TOKEN} rc 7\n".encode()
    marked = MarkedOutput(TOKEN)
    marked.feed(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert marked.returncode is None


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def test_the_remote_shell_gets_the_arguments_as_they_are(arguments: list[str]) -> None:
    script = remote_script(["printf", "%s\\n", "x", *arguments], TOKEN)
    finished = subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    marked = MarkedOutput(TOKEN)
    marked.feed(finished.stdout)
    assert marked.text == "".join(f"{argument}\n" for argument in ["x", *arguments])
