"""Where commands meet the system: closed and full outputs, folders that refuse writing, odd encodings."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from runs import SMALL_FLAGS

from toolkit.artifact import Artifact
from toolkit.cli import edge
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.process import CannotStart, run_process
from toolkit.errors import AdbServerFailed
from toolkit.files import scratch_beside
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.system_refusals import explain


def slm(settings: Settings, *arguments: object, **more: object) -> subprocess.Popen[bytes]:
    environ = more.pop("env", {})
    assert isinstance(environ, dict)
    # A shell's way to close stderr.
    without_stderr = ["sh", "-c", 'exec "$@" 2>&-', "sh"] if more.pop("without_stderr", False) else []
    own = {
        "SLM_CACHE_DIR": str(settings.cache_dir),
        "SLM_DATA_DIR": str(settings.data_dir),
        "SLM_STORE_URL": settings.store_url,
    }
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [*without_stderr, sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **own, **environ},
        **more,  # type: ignore[call-overload]
    )
    return process


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_run_whose_reader_is_gone_is_stored_and_ends_quietly(
    settings: Settings, artifact: Artifact, both: bool
) -> None:
    """`slm profile ... | head -1`, and with `2>&1` before it."""
    read, write = os.pipe()
    os.close(read)
    process = slm(
        settings, "profile", artifact.path, "--device", "local", *SMALL_FLAGS,
        stdout=write, stderr=write if both else subprocess.PIPE,
    )  # fmt: skip
    os.close(write)
    _, err = process.communicate(timeout=120)
    assert process.returncode == edge.SIGPIPE_CODE, err
    assert b"Traceback" not in (err or b"") and b"Broken pipe" not in (err or b"")
    with open_store(settings.store_url) as store:
        assert [summary.run.status for summary in store.list_runs()] == ["ok"]


def test_a_full_stdout_is_said(settings: Settings) -> None:
    with open("/dev/full", "wb") as full:
        process = slm(settings, "devices", "list", "--json", stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.decode().startswith("error: stdout cannot be written to: No space left on device")


@pytest.mark.parametrize(
    ("environ", "command", "said"),
    [
        ({"SLM_CACHE_DIR": "/proc/no/cache"}, "profile", "SLM_CACHE_DIR"),
        ({"SLM_DATA_DIR": "/proc/no/data"}, "profile", "SLM_DATA_DIR"),
        ({"SLM_DATA_DIR": "/proc/no/data"}, "emulate", "SLM_DATA_DIR"),
        (
            {"SLM_DATA_DIR": "", "SLM_CACHE_DIR": "", "SLM_STORE_URL": "", "HOME": "/proc"},
            "profile",
            "SLM_DATA_DIR",
        ),
    ],
)
def test_a_folder_that_may_not_be_written_to_is_named_with_the_remedy(
    settings: Settings, artifact: Artifact, environ: dict[str, str], command: str, said: str
) -> None:
    words: list[object] = ["devices", "emulate"]
    if command == "profile":
        words = ["profile", artifact.path, "--device", "local", *SMALL_FLAGS]
    process = slm(settings, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
    _, err = process.communicate(timeout=120)
    text = err.decode()
    assert process.returncode not in (0, 120) and "Traceback" not in text
    assert "/proc" in text and said in text and "next:" in text, text


def test_a_stdout_that_lacks_a_character_shows_its_number(settings: Settings, tmp_path: Path) -> None:
    odd = tmp_path / "modèle-≤"
    process = slm(
        settings, "profile", odd, "--device", "local",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )  # fmt: skip
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6 and b"Traceback" not in err
    printed = subprocess.run(
        [sys.executable, "-c", "from toolkit.cli import edge; edge.run(lambda: print('\u2264'))"],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True,
    )  # fmt: skip
    assert printed.stdout == b"\\u2264\n"


def test_an_error_of_a_callback_is_not_taken_for_a_program_that_cannot_start(tmp_path: Path) -> None:
    def closed(_: bytes) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        run_process(["echo", "text"], timeout_s=10, on_stdout=closed)
    with pytest.raises(BrokenPipeError):
        AdbClient(Path("/bin/echo")).execute(["text"], timeout_s=10, on_stdout=closed)
    with pytest.raises(CannotStart):
        run_process([str(tmp_path / "none")], timeout_s=10)
    with pytest.raises(AdbServerFailed, match="No such file"):
        AdbClient(tmp_path / "none").execute(["devices"], timeout_s=10)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EACCES, "Make it writable"),
        (errno.ENOSPC, "Make room"),
        (errno.EROFS, "Make it writable"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENAMETOOLONG, "a shorter name"),
        (errno.ELOOP, "in a circle"),
        (errno.EISDIR, "A folder is in the way"),
        (errno.ENOTDIR, "A file is in the way"),
        (errno.EEXIST, "A file is in the way"),
        (errno.ENOLCK, "a disk of this machine"),
        (errno.ENOTSUP, "a disk of this machine"),
        (errno.ESTALE, "a disk of this machine"),
        (errno.EBUSY, "End what uses it"),
    ],
    ids=lambda value: errno.errorcode.get(value, ""),
)
def test_what_the_system_refuses_names_path_and_remedy(code: int, remedy: str) -> None:
    explained = explain(OSError(code, os.strerror(code), "/somewhere/else"), Settings.from_environment())
    assert explained is not None and explained.subject == "/somewhere/else"
    assert explained.next_step and remedy in explained.next_step
    nameless = explain(OSError(code, os.strerror(code)), Settings.from_environment())
    assert nameless is not None and "SLM_CACHE_DIR" in str(nameless)


def test_a_folder_that_takes_no_files_is_named_with_the_remedy() -> None:
    def make() -> None:
        with scratch_beside(Path("/proc/artifact")):
            pass

    with pytest.raises(OSError) as caught:
        make()
    explained = explain(caught.value, Settings.from_environment())
    assert explained is not None and "/proc" in str(explained.subject) and explained.next_step


def test_without_a_temporary_folder_its_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/no"])
    assert edge.run(tempfile.mkdtemp) == 1
    told = capsys.readouterr().err
    assert "No usable temporary directory" in told and "/proc/no" in told and "TMPDIR" in told


def test_a_file_in_the_place_of_a_workspace_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    process = slm(
        settings, "recipe", "run", "smoke/tiny", "--workspace", tmp_path / "notes.txt",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, err = process.communicate(timeout=60)
    text = err.decode()
    assert process.returncode == 1 and "Traceback" not in text, text
    assert f"error: {tmp_path}/notes.txt: File exists" in text and "A file is in the way" in text
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_whose_stderr_is_closed_is_stored_and_stdout_is_what_was_asked_for(
    settings: Settings, artifact: Artifact
) -> None:
    """`slm profile ... --json 2>&-`."""
    process = slm(
        settings, "profile", artifact.path, "--device", "local", *SMALL_FLAGS, "--json",
        stdout=subprocess.PIPE, without_stderr=True,
    )  # fmt: skip
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    json.loads(out)
    with open_store(settings.store_url) as store:
        assert [summary.run.status for summary in store.list_runs()] == ["ok"]


def test_with_stderr_closed_an_error_keeps_to_its_exit_code_and_out_of_stdout(
    settings: Settings, tmp_path: Path
) -> None:
    process = slm(
        settings, "profile", tmp_path / "none", "--device", "local",
        stdout=subprocess.PIPE, without_stderr=True,
    )  # fmt: skip
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (6, b"")


def test_an_error_that_nobody_expects_keeps_its_traceback() -> None:
    settings = Settings.from_environment()
    for error in (FileNotFoundError(errno.ENOENT, "No such file", "/somewhere/else"), OSError("something")):
        assert explain(error, settings) is None
    with pytest.raises(ConnectionRefusedError):
        edge.run(lambda: (_ for _ in ()).throw(ConnectionRefusedError(errno.ECONNREFUSED, "refused")))


@pytest.mark.parametrize(
    "words", [("models", "list", "--all"), ("results", "columns"), ("runtime", "engines")]
)
def test_a_command_whose_reader_is_gone_ends_quietly(settings: Settings, words: tuple[str, ...]) -> None:
    process = slm(settings, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(timeout=60), process.stderr.read()) == (141, b"")
    process.stderr.close()
