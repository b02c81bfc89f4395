"""The bundle: everything that a device of one ABI needs to run the runner.

It holds its own dynamic loader and C library, so that it starts on a machine that has nothing else:
a virtual phone's sandbox, or an Android phone, whose own C library is another one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.artifact import FileEntry, file_entries
from toolkit.engines import DEFAULT_ENGINE, ENGINES, usable_engine
from toolkit.errors import BuildFailed, EngineMismatch
from toolkit.files import put_in_place, scratch_beside
from toolkit.locks import exclusive
from toolkit.progress import stage
from toolkit.runtime.abi import LOADERS, check_abi, runnable_host_abi
from toolkit.runtime.compile import compile_runner, run_logged
from toolkit.runtime.elf_check import check_elf_files
from toolkit.runtime.engine_build import EngineBuild, EngineFiles, find_engine
from toolkit.runtime.licenses import system_licenses
from toolkit.runtime.runner_source import runner_source, source_sha256
from toolkit.runtime.toolchain import Toolchain, find_toolchain
from toolkit.settings import Settings

_DESCRIPTION = "bundle.json"
# What the runners and their engines need besides the loader.
_SYSTEM_LIBRARIES = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)


class _Description(BaseModel):
    """``bundle.json``, written last: a folder without it is not a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    abi: str
    engine: str
    engine_version: str
    compiler: str
    size_bytes: int
    sha256: str
    files: list[FileEntry]
    licenses: list[FileEntry]


@dataclass(frozen=True)
class Bundle:
    """A runner with its engine, libraries and loader, in one folder.

    Attributes:
        path: the folder on this machine; ``files`` are relative to it.
        files: what has to be on the device.
        licenses: texts to pass on with a copy; not needed on the device.
    """

    abi: str
    engine: str
    engine_version: str
    path: Path
    files: list[FileEntry]
    licenses: list[FileEntry]

    @property
    def loader(self) -> str:
        """The dynamic loader, relative to the bundle."""
        return f"lib/{LOADERS[self.abi]}"

    @property
    def runner(self) -> str:
        """The runner, relative to the bundle."""
        return ENGINES.get(self.engine).needed_runner().program

    @property
    def executables(self) -> tuple[str, ...]:
        """Files that need permission to execute on the device."""
        return (self.loader, self.runner)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size_bytes for entry in self.files)

    @property
    def sha256(self) -> str:
        """Over the hashes and names of all files: the same wherever the same bundle was built."""
        lines = sorted(f"{entry.sha256}  {entry.path}\n" for entry in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def command(self, remote_dir: str) -> list[str]:
        """How to start the runner when the bundle lies in ``remote_dir`` on the device."""
        library_path = f"{remote_dir}/lib"
        return [f"{remote_dir}/{self.loader}", "--library-path", library_path, f"{remote_dir}/{self.runner}"]


def build_bundle(abi: str, settings: Settings, *, engine: str = DEFAULT_ENGINE) -> Bundle:
    """Return the bundle for an ABI, building it when its sources, engine or compiler are new.

    Args:
        abi: in Android's words, or "host". Another ABI than the host's needs its cross compiler.
        settings: the bundle is kept under ``settings.cache_dir / "bundles"``.
        engine: the name of a registered inference engine.

    Raises:
        UsageError: unknown ABI or engine.
        EngineMismatch: an ABI that is not built here, or an engine that is missing, too old or without a
            runner.
        BuildFailed: a tool is missing, a download failed, or the sources do not compile.
    """
    plan = _plan(check_abi(abi), settings, engine)
    bundle = load_bundle(plan.path)
    if bundle is None:
        with exclusive(plan.path.with_name(f".{plan.path.name}.lock")):
            # Another process may have built it meanwhile.
            bundle = load_bundle(plan.path) or _build(plan)
    return bundle


def load_bundle(path: Path) -> Bundle | None:
    """Read a bundle's description.

    None when it is missing or unreadable, its files are not as described, or its engine has no runner here.
    """
    try:
        description = _Description.model_validate_json((path / _DESCRIPTION).read_text(encoding="utf-8"))
        described = [*description.files, *description.licenses]
        whole = all((path / f.path).stat().st_size == f.size_bytes for f in described)
    except (OSError, ValueError, ValidationError):
        return None
    engine = usable_engine(description.engine)
    if not whole or engine is None or engine.runner is None:
        return None
    return _bundle(path, description)


def list_bundles(settings: Settings) -> list[Bundle]:
    """Whole bundles in the cache, sorted by path."""
    found = (
        load_bundle(path.parent)
        for path in sorted((settings.cache_dir / "bundles").glob(f"*/{_DESCRIPTION}"))
    )
    return [bundle for bundle in found if bundle is not None]


@dataclass(frozen=True)
class _Plan:
    """What a bundle is built from; ``path``, where it will be, follows from all of it."""

    abi: str
    engine: EngineBuild
    toolchain: Toolchain
    source: Path
    source_sha256: str
    path: Path


def _plan(abi: str, settings: Settings, engine: str) -> _Plan:
    found = find_engine(ENGINES.get(engine), settings, abi=abi)
    toolchain = find_toolchain(abi=abi)
    source = runner_source()
    sources = source_sha256(source)
    identity = "\n".join([abi, found.version, found.identity, toolchain.compiler_identity, sources])
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    path = settings.cache_dir / "bundles" / f"{abi}-{engine}-{found.version}-{key}"
    return _Plan(abi, found, toolchain, source, sources, path)


def _build(plan: _Plan) -> Bundle:
    engine = plan.engine.provide()
    log = plan.path.with_name(f"{plan.path.name}.log")
    with scratch_beside(plan.path) as scratch:
        staged = scratch / "bundle"
        with stage(f"build the runner for {plan.abi}"):
            _compile(plan, engine.definitions, scratch / "build", staged, log)
        _copy_libraries(staged / "lib", plan, engine)
        files = file_entries(staged)
        _copy_licenses(staged / "licenses", plan, engine)
        licenses = [entry for entry in file_entries(staged) if entry not in files]
        bundle = Bundle(plan.abi, plan.engine.engine.name, plan.engine.version, staged, files, licenses)
        _check_starts(bundle)
        description = _Description(
            abi=bundle.abi,
            engine=bundle.engine,
            engine_version=bundle.engine_version,
            compiler=plan.toolchain.compiler_identity,
            size_bytes=bundle.size_bytes,
            sha256=bundle.sha256,
            files=files,
            licenses=licenses,
        )
        (staged / _DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")
        # What is there now did not load; the lock keeps other builders away.
        put_in_place(staged, plan.path)
    return _bundle(plan.path, description)


def _bundle(path: Path, description: _Description) -> Bundle:
    return Bundle(
        description.abi,
        description.engine,
        description.engine_version,
        path,
        description.files,
        description.licenses,
    )


def _compile(plan: _Plan, definitions: dict[str, str], build: Path, staged: Path, log: Path) -> None:
    definitions = {
        "CMAKE_BUILD_TYPE": "Release",
        "SLM_WARNINGS_AS_ERRORS": "OFF",
        # The build tree's own path would make the executable's build id another one in each folder.
        "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
        **definitions,
    }
    compile_runner(plan.source, build, plan.toolchain, log=log, definitions=definitions)
    install = [str(plan.toolchain.cmake), "--install", str(build), "--strip", "--prefix", str(staged)]
    run_logged(install, log)
    if source_sha256(plan.source) != plan.source_sha256:
        # Published, it would stand for sources that it was not built from.
        raise BuildFailed(
            "the sources changed during the build", subject=str(plan.source), next_step="Build again."
        )


def _copy_libraries(folder: Path, plan: _Plan, engine: EngineFiles) -> None:
    folder.mkdir()
    loader = LOADERS[plan.abi]
    for name in (loader, *_SYSTEM_LIBRARIES):
        shutil.copyfile(plan.toolchain.runtime_file(name), folder / name)
    for name, library in engine.libraries.items():
        shutil.copyfile(library, folder / name)
    (folder / loader).chmod(0o755)


def _copy_licenses(folder: Path, plan: _Plan, engine: EngineFiles) -> None:
    folder.mkdir()
    system = [plan.toolchain.runtime_file(name) for name in (LOADERS[plan.abi], *_SYSTEM_LIBRARIES)]
    for name, text in {**system_licenses(system), **engine.licenses}.items():
        shutil.copyfile(text, folder / name)


def _check_starts(bundle: Bundle) -> None:
    """See that the loader will find all it needs; what is missing shows here, not on the device."""
    subject = f"{bundle.engine} {bundle.engine_version}"
    files = {Path(entry.path).name: bundle.path / entry.path for entry in bundle.files}
    check_elf_files(files, bundle.abi, subject=subject)
    if bundle.abi != runnable_host_abi():
        return
    done = subprocess.run(
        [*bundle.command(str(bundle.path)), "info"], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        package = ENGINES.get(bundle.engine).package
        raise EngineMismatch(
            f"the new bundle does not start (exit code {done.returncode}): {done.stderr.strip()[-1000:]}",
            subject=subject,
            next_step=f"Reinstall the engine and build again: pip install --force-reinstall {package}",
        )
