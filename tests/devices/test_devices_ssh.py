"""Linux boards over the real OpenSSH client and server: what can go wrong, and what it is called."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_sshd import SERIAL, Board
from virtual_phones import IMPATIENT

from toolkit.devices.base import Device
from toolkit.devices.discovery import open_device
from toolkit.devices.ssh.client import find_client
from toolkit.devices.ssh.description import describe
from toolkit.devices.ssh.device import SshDevice, open_board
from toolkit.devices.ssh.failures import Failure, classify_failure
from toolkit.devices.transfer import push_verified
from toolkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceFull,
    DeviceLost,
    DeviceNotFound,
    DeviceNotReady,
    DeviceTimeout,
    TransferFailed,
    UsageError,
)
from toolkit.settings import Settings

FROZEN_LIMIT_S = IMPATIENT.stall_s + IMPATIENT.call_s + 6
BIG_BYTES = 200_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", store_url="sqlite://")


@pytest.fixture
def own_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board to break."""
    board = Board(tmp_path)
    for name, value in board.environ.items():
        monkeypatch.setenv(name, value)
    board.start()
    yield board
    board.remove()


def opened(tmp_path: Path) -> SshDevice:
    return open_board(find_client(SERIAL), lock_folder=tmp_path / "locks", patience=IMPATIENT)


def big_file(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(BIG_BYTES)
        file.write(b"begin")
    return path


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_it_is_opened_by_its_name_and_says_what_it_is(board: Board, settings: Settings) -> None:
    device = open_device(SERIAL, settings)
    info = device.info()
    assert (info.serial, info.kind, info.emulated) == (SERIAL, "ssh", False)
    assert info.os_version and info.build == os.uname().release and info.free_bytes
    assert device.workdir == f"{board.home}/.slm-toolkit"


def test_calls_share_one_connection(board: Board, settings: Settings) -> None:
    device = open_device(SERIAL, settings)

    def server() -> str:
        return device.shell(["sh", "-c", "echo $SSH_CONNECTION"], timeout_s=10).stdout

    assert server() == server() != ""


ORIGINAL = '"$SSH_ORIGINAL_COMMAND"'


@pytest.mark.parametrize(
    ("program", "login"),
    [
        ("sh", f"echo Welcome to the board; exec sh -c {ORIGINAL}"),
        ("sh", f"printf 'Last login: never'; exec sh -c {ORIGINAL}"),
        ("sh", f"printf '0 0 0 \\r\\n\\n'; echo problem >&2; exec sh -c {ORIGINAL}"),
        ("sh", f"printf '\\033[2J\\0\\377'; sh -c {ORIGINAL}; code=$?; echo Good-bye; exit $code"),
        ("bash", f"exec bash -c {ORIGINAL}"),
        ("tcsh", f"exec tcsh -f -c {ORIGINAL}"),
        ("fish", f"exec fish -c {ORIGINAL}"),
    ],
    ids=["greeting", "greeting-without-newline", "figures-and-stderr", "farewell", "bash", "tcsh", "fish"],
)
def test_neither_greetings_nor_the_login_shell_change_what_is_done(
    own_board: Board, tmp_path: Path, program: str, login: str
) -> None:
    if not shutil.which(program):
        pytest.skip(f"no {program}; Debian's package `{program}` brings it")
    own_board.log_in_through(login)
    device = opened(tmp_path)
    assert device.workdir == f"{own_board.home}/.slm-toolkit"
    assert device.info().ram_bytes and device.free_space() > 0
    words = ["it's", 'a "word"', "two\nlines", "$HOME", "!x", "back\\slash", "*"]
    assert device.shell(["printf", "%s|", *words], timeout_s=20).stdout == "".join(f"{w}|" for w in words)
    assert device.shell(["cat"], timeout_s=20).stdout == "", "a command's input is empty"
    local, remote = tmp_path / "local", f"{device.workdir}/a file"
    local.write_bytes(os.urandom(300_000))
    push_verified(device, local, remote, sha256=sha256_of(local))
    device.pull(remote, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    with pytest.raises(DeviceTimeout):
        device.shell(["sleep", "60"], timeout_s=2)
    left = device.shell(["sh", "-c", "ps -e -o args | grep -c '^slee[p] 60$'"], timeout_s=20).stdout
    assert left == "0\n", "what ran past its deadline is killed on the board"


class TestWhatCannotBeUsed:
    def test_a_refused_key(self, own_board: Board, settings: Settings) -> None:
        own_board.write_client_config(key="stranger")
        with pytest.raises(DeviceNotReady, match=f"(?s){SERIAL}.*ssh-copy-id board"):
            open_device(SERIAL, settings)

    @pytest.mark.parametrize(
        "login", [f"exec rbash -c {ORIGINAL}", "echo This account is currently not available.; exit 1"]
    )
    def test_a_login_shell_that_runs_no_commands(
        self, own_board: Board, settings: Settings, login: str
    ) -> None:
        own_board.log_in_through(login)
        with pytest.raises(DeviceNotReady, match="(?s)login shell runs no commands: .*ordinary shell"):
            open_device(SERIAL, settings)

    def test_an_unknown_host_key(self, own_board: Board, settings: Settings) -> None:
        own_board.write_client_config(known="no_hosts")
        with pytest.raises(DeviceNotReady, match="(?s)host key.*fingerprint"):
            open_device(SERIAL, settings)

    def test_a_board_that_is_off(self, board: Board, settings: Settings) -> None:
        with pytest.raises(DeviceNotReady, match="(?s)ssh:closed.*cannot be reached"):
            open_device("ssh:closed", settings)

    def test_a_name_that_nobody_knows(self, board: Board, settings: Settings) -> None:
        with pytest.raises(DeviceError) as raised:
            open_device("ssh:no-such-host.invalid", settings)
        # Without a resolver, ssh cannot tell a name that does not exist from one that it cannot look up.
        assert isinstance(raised.value, DeviceNotFound | DeviceNotReady)
        assert raised.value.next_step

    @pytest.mark.parametrize("serial", ["ssh:", "ssh:-oProxyCommand=touch pwned", "ssh:a b", "ssh:a\nb"])
    def test_names_that_ssh_would_misread(
        self, serial: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError):
            open_device(serial, settings)
        assert not (tmp_path / "pwned").exists()

    def test_a_folder_of_sockets_that_others_can_enter(
        self, board: Board, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        (tmp_path / f"slm-ssh-{os.getuid()}").mkdir(mode=0o755)
        with pytest.raises(DeviceError, match="not safe"):
            open_device(SERIAL, settings)


class TestABoardThatFails:
    @staticmethod
    def when_part_arrives(board: Board, act: Callable[[], None]) -> None:
        """Act from another thread once some of the file is there."""

        def wait() -> None:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if any(part.stat().st_size > 1_000_000 for part in board.home.rglob("*.part")):
                    break
                time.sleep(0.001)
            act()

        threading.Thread(target=wait).start()

    @staticmethod
    def repeat_succeeds(board: Board, device: Device, file: Path) -> None:
        remote = f"{device.workdir}/big"
        assert push_verified(device, file, remote, sha256=sha256_of(file)) == "pushed"
        assert sha256_of(Path(remote)) == sha256_of(file)
        assert [path.name for path in Path(device.workdir).glob("*.part")] == []

    def test_it_dies_during_a_push(self, own_board: Board, tmp_path: Path) -> None:
        device, file = opened(tmp_path), big_file(tmp_path)
        self.when_part_arrives(own_board, own_board.stop)
        with pytest.raises(DeviceLost, match=SERIAL):
            push_verified(device, file, f"{device.workdir}/big", sha256=sha256_of(file))
        assert not Path(f"{device.workdir}/big").exists()
        own_board.start()
        self.repeat_succeeds(own_board, device, file)

    def test_it_freezes_during_a_push(self, own_board: Board, tmp_path: Path) -> None:
        device, file = opened(tmp_path), big_file(tmp_path)
        self.when_part_arrives(own_board, own_board.freeze)
        started = time.monotonic()
        with pytest.raises(DeviceTimeout, match=SERIAL):
            push_verified(device, file, f"{device.workdir}/big", sha256=sha256_of(file))
        assert time.monotonic() - started < FROZEN_LIMIT_S
        own_board.thaw()
        self.repeat_succeeds(own_board, device, file)

    def test_it_dies_during_a_command(self, own_board: Board, tmp_path: Path) -> None:
        device, end = opened(tmp_path), threading.Thread(target=own_board.stop)
        with pytest.raises(DeviceLost, match=SERIAL) as raised:
            device.shell(
                ["sh", "-c", "echo begun; sleep 100"],
                timeout_s=60,
                on_stdout_line=lambda line: end.start(),
            )
        assert raised.value.next_step
        end.join()
        own_board.start()
        assert device.shell(["echo", "back"], timeout_s=10).stdout == "back\n"

    def test_it_freezes_during_a_pull(self, own_board: Board, tmp_path: Path) -> None:
        device, file = opened(tmp_path), big_file(tmp_path)
        remote = own_board.home / "remote"
        file.rename(remote)
        frozen = threading.Event()

        def freeze(done: int, total: int) -> None:
            if done and not frozen.is_set():
                frozen.set()
                own_board.freeze()

        impatient = IMPATIENT.__class__(call_s=3, stall_s=1.5, poll_s=0.01)
        device = open_board(find_client(SERIAL), lock_folder=tmp_path / "locks", patience=impatient)
        with pytest.raises(DeviceTimeout, match=SERIAL):
            device.pull(str(remote), tmp_path / "back", progress=freeze)
        assert frozen.is_set() and not list(tmp_path.glob("back*"))
        own_board.thaw()
        device.pull(str(remote), tmp_path / "back")
        assert sha256_of(tmp_path / "back") == sha256_of(remote)


def test_a_place_that_may_not_be_written_is_a_failed_transfer(board: Board, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(TransferFailed, match=SERIAL):
        opened(tmp_path).push(tmp_path / "file", "/sys/kernel/file")


def test_a_full_disk_is_called_full(board: Board, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    with pytest.raises(DeviceFull, match=SERIAL):
        opened(tmp_path).push(tmp_path / "file", "/dev/full")


def test_a_second_host_is_kept_off(board: Board, tmp_path: Path) -> None:
    first = open_board(find_client(SERIAL), lock_folder=tmp_path / "a", patience=IMPATIENT)
    second = open_board(find_client(SERIAL), lock_folder=tmp_path / "b", patience=IMPATIENT)
    with first.lock(), pytest.raises(DeviceBusy, match="Another host"), second.lock():
        pass
    with second.lock():
        pass


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("pi@board: Permission denied (publickey).", Failure.KEY_REFUSED),
        (
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
            Failure.KEY_REFUSED,
        ),
        ("Host key verification failed.", Failure.HOST_KEY),
        ("ssh: Could not resolve hostname board: Name or service not known", Failure.UNKNOWN_HOST),
        ("ssh: connect to host board port 22: No route to host", Failure.UNREACHABLE),
        ("cat: write error: No space left on device", Failure.FULL),
        ("sh: 1: cannot create /x: Permission denied", Failure.DENIED),
        ("mux_client_request_session: read from master failed: Broken pipe", Failure.LOST),
        ("client_loop: send disconnect: Broken pipe", Failure.LOST),
        ("", Failure.LOST),
    ],
)
def test_error_texts_are_told_apart(text: str, failure: Failure) -> None:
    assert classify_failure(text) is failure


def test_a_boards_facts_are_read_and_the_missing_ones_are_unknown() -> None:
    text = (
        "\n@@slm-section machine\naarch64\n\n@@slm-section release\n6.6.31+rpt-rpi-2712\n"
        '\n@@slm-section os\nNAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
        "\n@@slm-section model\nRaspberry Pi 5 Model B Rev 1.0\n\n@@slm-section vendor\n"
        "\n@@slm-section soc\nbrcm,bcm2712\n\n@@slm-section cpuinfo\n\n@@slm-section cpus\npossible 0-3\n"
        "\n@@slm-section meminfo\nMemTotal:        8245632 kB\n"
    )
    info = describe("ssh:pi", text)
    assert (info.abi, info.model, info.soc) == ("arm64-v8a", "Raspberry Pi 5 Model B Rev 1.0", "brcm,bcm2712")
    assert (info.os_version, info.cpu_cores) == ("Debian GNU/Linux 12 (bookworm)", 4)
    assert info.ram_bytes == 8245632 * 1024
    assert (info.manufacturer, info.free_bytes, info.api_level) == (None, None, None)
    assert describe("ssh:pi", "").abi is None
