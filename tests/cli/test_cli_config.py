"""`slm config`, and what is told of work: kept settings, variables over them, quiet and verbose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.cli.config import config
from toolkit.devices.selection import chosen_serials
from toolkit.errors import UsageError
from toolkit.settings import SETTINGS, Settings, choices, read_config


def slm(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLM_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", *arguments],
        capture_output=True,
        text=True,
        env={**kept, "HOME": str(home), **more},
    )


def test_a_setting_holds_until_it_is_unset(tmp_path: Path) -> None:
    told = slm(tmp_path, "config", "device", "pixel7")
    assert told.returncode == 0, told.stderr
    assert slm(tmp_path, "config", "device").stdout == "pixel7\n"
    over = slm(tmp_path, "config", "data_dir", str(tmp_path / "d"), SLM_DATA_DIR="/elsewhere")
    assert "SLM_DATA_DIR is set, and wins" in over.stderr
    listed = slm(tmp_path, "config", SLM_STORE_URL="sqlite:///x.db").stdout
    assert "pixel7  (file)" in listed and "sqlite:///x.db  (SLM_STORE_URL)" in listed
    assert f"{tmp_path / 'd'}  (file)" in listed and "(default)" in listed
    assert slm(tmp_path, "config", "device", "--unset").returncode == 0
    assert slm(tmp_path, "config", "device").stdout == "\n"


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("data_dir", "lab", "{here}/lab"),
        ("cache_dir", "~/lab", "{home}/lab"),
        ("adb", "tools/adb", "{here}/tools/adb"),
        ("data_dir", "/srv/lab", "/srv/lab"),
        ("store_url", "sqlite:///lab.db", "sqlite:///{here}/lab.db"),
        ("store_url", "sqlite:///~/lab.db", "sqlite:///{home}/lab.db"),
        ("store_url", "sqlite:////srv/lab.db", "sqlite:////srv/lab.db"),
        ("store_url", "sqlite:///:memory:", "sqlite:///:memory:"),
        ("store_url", "postgresql+psycopg://user@host/slm", "postgresql+psycopg://user@host/slm"),
        ("device", "~", "~"),
    ],
)
def test_a_path_means_the_same_in_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, written: str, meant: str
) -> None:
    home, typed_in, elsewhere = (tmp_path / one for one in ("home", "typed", "elsewhere"))
    for folder in (home, typed_in, elsewhere):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SLM_CONFIG", str(elsewhere / "c.toml"))
    monkeypatch.delenv(SETTINGS[name].variable, raising=False)
    # As it is typed into `slm config`, ...
    monkeypatch.chdir(typed_in)
    config(name, written, False)
    monkeypatch.chdir(home)
    assert choices()[name].value == meant.format(here=typed_in, home=home)
    # ... and by hand into the file.
    (elsewhere / "c.toml").write_text(f"{name} = '{written}'\n")
    for folder in (typed_in, elsewhere):
        monkeypatch.chdir(folder)
        assert choices()[name].value == meant.format(here=elsewhere, home=home)
    assert [path.name for path in (*home.iterdir(), *typed_in.iterdir())] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("devise",), "Did you mean 'device'?"), (("device", "x", "--unset"), "a value, or --unset")],
)
def test_what_cannot_be_set_is_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    told = slm(tmp_path, "config", *arguments)
    assert told.returncode == 2 and said in told.stderr
    assert list(tmp_path.rglob("config.toml")) == []


@pytest.mark.parametrize("text", ["device", "device = 3", 'devise = "x"', 'device = ""', "\udcff"])
def test_a_config_file_that_cannot_be_meant_is_an_error_of_every_command(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(UsageError, match="c.toml"):
        read_config(file)
    told = slm(tmp_path, "devices", "list", SLM_CONFIG=str(file))
    assert told.returncode == 2 and "c.toml" in told.stderr and "Traceback" not in told.stderr


def test_the_default_device_is_meant_when_none_is_named(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "SLM_CONFIG": str(tmp_path / "none"),
        "SLM_DEVICE": "local, ssh:pi@board",
    }
    settings = Settings.from_environment(environ)
    assert settings.device == "local, ssh:pi@board"
    only = Settings.from_environment({**environ, "SLM_DEVICE": "local"})
    assert chosen_serials([], only) == ["local"]
    assert chosen_serials(["ssh:other"], only) == ["ssh:other"]


def test_quiet_tells_the_result_alone_and_verbose_every_command(tmp_path: Path) -> None:
    both = slm(tmp_path, "-q", "-v", "config")
    assert both.returncode == 2 and "exclude each other" in both.stderr
    code = "from toolkit.progress import *; say('warning'); remark('by the way'); detail('step')\n"
    code += "with stage('work'), bar('bytes') as move: move(1, 2)"
    told = {
        name: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ).stderr
        for name, environ in {
            "normal": {},
            "quiet": {"SLM_VERBOSITY": "quiet"},
            "verbose": {"SLM_VERBOSITY": "verbose"},
            "still": {"SLM_PROGRESS": "off"},
        }.items()
    }
    assert told["quiet"] == "warning\n"
    assert told["still"] == "warning\nby the way\n"
    assert told["normal"].splitlines()[:3] == ["warning", "by the way", "work ..."]
    assert told["verbose"].splitlines()[2] == "step"
