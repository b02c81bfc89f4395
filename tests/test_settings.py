"""Where the toolkit keeps things."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from toolkit.errors import UsageError
from toolkit.settings import Settings, config_file, user_name

linux = pytest.mark.skipif(sys.platform != "linux", reason="the places of Linux")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "SLM_CACHE_DIR",
        "SLM_DATA_DIR",
        "SLM_STORE_URL",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "XDG_CONFIG_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@linux
def test_without_variables_the_places_are_those_of_the_xdg_specification(home: Path) -> None:
    settings = Settings.from_environment()
    assert settings.cache_dir == home / ".cache/slm-toolkit"
    assert settings.data_dir == home / ".local/share/slm-toolkit"
    assert settings.store_url == f"sqlite:///{home}/.local/share/slm-toolkit/results.db"


@linux
def test_the_xdg_variables_move_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What lies in the usual place does not matter then.
    (home / ".cache/slm-toolkit").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "d"))
    settings = Settings.from_environment()
    assert (settings.cache_dir, settings.data_dir) == (home / "c/slm-toolkit", home / "d/slm-toolkit")


def test_a_folder_of_an_earlier_version_is_used_on_every_system(home: Path) -> None:
    (home / ".local/share/slm-toolkit").mkdir(parents=True)
    assert Settings.from_environment().data_dir == home / ".local/share/slm-toolkit"


def test_our_own_variables_come_first_and_are_made_absolute(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    environ = {**os.environ, "SLM_CACHE_DIR": "c", "SLM_DATA_DIR": "d", "XDG_CACHE_HOME": "/x"}
    settings = Settings.from_environment(environ)
    assert (settings.cache_dir, settings.data_dir) == (home / "c", home / "d")


def test_the_phone_that_adb_is_told_to_take_is_the_device(home: Path) -> None:
    environ = {"HOME": str(home), "SLM_CONFIG": str(home / "config.toml"), "ANDROID_SERIAL": "R5CT1234567"}
    assert Settings.from_environment(environ).device == "R5CT1234567", "not the host where it is unplugged"
    (home / "config.toml").write_text('device = "pixel7"\n')
    assert Settings.from_environment(environ).device == "pixel7"
    assert Settings.from_environment({**environ, "SLM_DEVICE": "local"}).device == "local"


@linux
def test_a_user_without_a_name_or_a_home_needs_folders_only(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs as a number: no HOME, no USER, and nothing about the number."""

    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError("getpwuid(): uid not found: 4321")

    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "SLM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    assert user_name() == "user 4321"
    with pytest.raises(UsageError, match="user 4321 has no home folder") as refused:
        Settings.from_environment()
    assert refused.value.next_step == "Set HOME, or SLM_CACHE_DIR."
    monkeypatch.setenv("SLM_CACHE_DIR", str(home / "c"))
    monkeypatch.setenv("SLM_DATA_DIR", str(home / "d"))
    assert Settings.from_environment().data_dir == home / "d"
    with pytest.raises(UsageError, match="Set HOME, or SLM_CONFIG"):
        config_file()
