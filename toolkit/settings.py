"""Where the toolkit keeps things; read once at the CLI's edge and passed down."""

from __future__ import annotations

import getpass
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import PlatformDirs

from toolkit.errors import UsageError
from toolkit.files import expanded, whole_file

_NAME = "slm-toolkit"
# adb's own variable for the phone that is meant.
ADB_SERIAL = "ANDROID_SERIAL"
# A database in a file; memory and URIs of SQLite's own have no path.
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!:memory:|file:)(.+)")


@dataclass(frozen=True)
class Settings:
    """Paths and URLs.

    Attributes:
        cache_dir: things that can be made again: captures, bundles, downloads. ``SLM_CACHE_DIR``.
        data_dir: things that cannot: results, raw run files, virtual phones. ``SLM_DATA_DIR``.
        store_url: SQLAlchemy URL of the results database. ``SLM_STORE_URL``.
        adb: path of the adb binary, or None to look on PATH and then in the adbutils wheel. ``SLM_ADB``.
        device: the devices that are meant when none is named, with commas. ``SLM_DEVICE``, else adb's own
            ``ANDROID_SERIAL``.
    """

    cache_dir: Path
    data_dir: Path
    store_url: str
    adb: Path | None = None
    device: str | None = None

    @property
    def models_dir(self) -> Path:
        """The user's own entries of the catalogue."""
        return self.data_dir / "models"

    def to_json(self) -> dict[str, str | None]:
        """JSON data for another process."""
        return {name: None if value is None else str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, str | None]) -> Settings:
        """What :meth:`to_json` gave."""
        paths = {name: Path(value) for name in ("cache_dir", "data_dir", "adb") if (value := data.get(name))}
        return cls(**{**data, **paths})  # type: ignore[arg-type]  # what was given has these types

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the SLM_* variables, else the config file; without either, this platform's folders.

        Raises:
            UsageError: a config file that cannot be read.
        """
        chosen = {name: choice.value for name, choice in choices(environ).items()}
        places = PlatformDirs(_NAME, appauthor=False)

        def earlier(variable: str, below_home: str) -> Path:
            home = environ.get("HOME") or Path.home()
            return Path(environ.get(variable) or Path(home, below_home)) / _NAME

        def usual_cache() -> Path:
            return _folder(places.user_cache_path, earlier("XDG_CACHE_HOME", ".cache"))

        def usual_data() -> Path:
            return _folder(places.user_data_path, earlier("XDG_DATA_HOME", ".local/share"))

        cache = Path(chosen["cache_dir"] or _of_user(usual_cache, "SLM_CACHE_DIR"))
        data = Path(chosen["data_dir"] or _of_user(usual_data, "SLM_DATA_DIR"))
        return cls(
            cache_dir=cache.absolute(),
            data_dir=data.absolute(),
            store_url=chosen["store_url"] or f"sqlite:///{data.absolute() / 'results.db'}",
            adb=Path(chosen["adb"]) if chosen["adb"] else None,
            device=chosen["device"],
        )


@dataclass(frozen=True)
class Setting:
    """What a user can choose.

    Attributes:
        variable: the environment variable that wins over the config file.
        help: one line.
        is_path: whether its value is a file or folder.
    """

    variable: str
    help: str
    is_path: bool = False


SETTINGS: Mapping[str, Setting] = {
    "device": Setting("SLM_DEVICE", "devices that are meant when none is named, with commas"),
    "cache_dir": Setting(
        "SLM_CACHE_DIR", "things that can be made again: captures, bundles, downloads", True
    ),
    "data_dir": Setting("SLM_DATA_DIR", "things that cannot: results, raw run files, virtual phones", True),
    "store_url": Setting("SLM_STORE_URL", "SQLAlchemy URL of the results database"),
    "adb": Setting("SLM_ADB", "path of the adb binary", True),
}


@dataclass(frozen=True)
class Choice:
    """A setting's value, None where nobody chose, and where it is from: a variable's name or a file."""

    value: str | None = None
    origin: str | None = None


def choices(environ: Mapping[str, str] = os.environ) -> dict[str, Choice]:
    """Every setting as it is chosen: by its variable, else in the config file; a device last by adb's.

    Raises:
        UsageError: a config file that cannot be read.
    """
    path: Path | None = None
    # Without a home folder there is no file in it either.
    with suppress(UsageError):
        path = config_file(environ)
    kept = {} if path is None else read_config(path)
    found = {}
    for name, setting in SETTINGS.items():
        if environ.get(setting.variable):
            found[name] = Choice(environ[setting.variable], setting.variable)
        else:
            found[name] = Choice(kept[name], str(path)) if name in kept else Choice()
    if found["device"].value is None and environ.get(ADB_SERIAL):
        # Whoever set it means that phone wherever adb is used, and never this machine.
        found["device"] = Choice(environ[ADB_SERIAL], ADB_SERIAL)
    return found


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where settings are kept: ``SLM_CONFIG``, or this platform's place for them.

    Raises:
        UsageError: this user has no home folder.
    """
    if given := environ.get("SLM_CONFIG"):
        return Path(given)
    usual = _of_user(lambda: PlatformDirs(_NAME, appauthor=False).user_config_path, "SLM_CONFIG")
    return usual / "config.toml"


def read_config(path: Path) -> dict[str, str]:
    """The settings in a config file; none where there is no file. Paths start from the file's folder.

    Raises:
        UsageError: it is not TOML, or holds something else than known settings with texts.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_config(path, f"cannot be read: {error}") from None
    try:
        kept = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad_config(path, f"is not TOML: {error}") from None
    for name, value in kept.items():
        if name not in SETTINGS:
            raise _bad_config(path, f"{name!r} is no setting; there are {', '.join(SETTINGS)}")
        if not isinstance(value, str) or not value:
            raise _bad_config(path, f"{name} is no text")
    return {name: anchored(name, value, path.absolute().parent) for name, value in kept.items()}


def anchored(name: str, value: str, folder: Path) -> str:
    """A setting's value that means the same everywhere: its paths are whole, ``~`` is the home folder.

    Args:
        name: of the setting.
        value: as it was written.
        folder: where relative paths start from; absolute.
    """
    if SETTINGS[name].is_path:
        return str(folder / expanded(value))
    if name == "store_url" and (file := _SQLITE_FILE.fullmatch(value)):
        return f"{file[1]}{folder / expanded(file[2])}"
    return value


def write_config(path: Path, kept: Mapping[str, str]) -> None:
    """Write a config file; it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        # JSON strings are TOML strings.
        part.write_text(
            "".join(f"{name} = {json.dumps(value)}\n" for name, value in kept.items()), encoding="utf-8"
        )


def _bad_config(path: Path, what: str) -> UsageError:
    return UsageError(what, subject=str(path), next_step="Mend or remove the file; slm config writes it.")


def _folder(of_this_platform: Path, of_earlier_versions: Path) -> Path:
    """Earlier versions used Linux's places on every platform; what they kept there must be found."""
    return of_earlier_versions if of_earlier_versions.is_dir() else of_this_platform


def _of_user(place: Callable[[], Path], variable: str) -> Path:
    """A place below the home folder, which a container's user, a number without a name, may lack.

    Raises:
        UsageError: there is no home folder.
    """
    try:
        return place()
    except RuntimeError:
        raise UsageError(
            f"{user_name()} has no home folder: HOME is not set, and this machine does not know the user",
            next_step=f"Set HOME, or {variable}.",
        ) from None


def user_name() -> str:
    """Who runs this, for people; a number where this machine has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
