"""The bundle: everything that a device of one ABI needs to run the runner.

It holds its own dynamic loader and C library, so that it starts on a machine that has nothing else:
a virtual phone's sandbox, or an Android phone, whose own C library is another one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.artifact import FileEntry, file_entries
from toolkit.errors import BuildFailed, EngineMismatch, UsageError
from toolkit.progress import stage
from toolkit.runtime.abi import LOADERS, check_abi
from toolkit.runtime.compile import compile_runner, run_logged
from toolkit.runtime.engine_build import RUNNERS, EngineBuild, find_engine
from toolkit.runtime.lock import exclusive
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
    files: list[FileEntry]


@dataclass(frozen=True)
class Bundle:
    """A runner with its engine, libraries and loader, in one folder.

    Attributes:
        path: the folder on this machine; ``files`` are relative to it.
        files: what has to be on the device.
    """

    abi: str
    engine: str
    engine_version: str
    path: Path
    files: list[FileEntry]

    @property
    def loader(self) -> str:
        """The dynamic loader, relative to the bundle."""
        return f"lib/{LOADERS[self.abi]}"

    @property
    def runner(self) -> str:
        """The runner, relative to the bundle."""
        return RUNNERS[self.engine]

    @property
    def executables(self) -> tuple[str, ...]:
        """Files that need permission to execute on the device."""
        return (self.loader, self.runner)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size_bytes for entry in self.files)

    def command(self, remote_dir: str) -> list[str]:
        """How to start the runner when the bundle lies in ``remote_dir`` on the device."""
        library_path = f"{remote_dir}/lib"
        return [f"{remote_dir}/{self.loader}", "--library-path", library_path, f"{remote_dir}/{self.runner}"]


def build_bundle(abi: str, settings: Settings, *, engine: str = "onnxruntime") -> Bundle:
    """Return the bundle for an ABI, building it when its sources, engine or compiler are new.

    Args:
        abi: in Android's words, or "host".
        settings: the bundle is kept under ``settings.cache_dir / "bundles"``.
        engine: the inference engine; "onnxruntime" or "executorch".

    Raises:
        UsageError: unknown ABI or engine.
        EngineMismatch: an ABI that is not built here, or an engine that is missing or too old.
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
    """Read a bundle's description; None when it is missing, unreadable or its files are not as described."""
    try:
        description = _Description.model_validate_json((path / _DESCRIPTION).read_text())
        whole = all((path / f.path).stat().st_size == f.size_bytes for f in description.files)
    except (OSError, ValueError, ValidationError):
        return None
    if not whole:
        return None
    return Bundle(description.abi, description.engine, description.engine_version, path, description.files)


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
    if engine not in RUNNERS:
        raise UsageError(f"Unknown engine {engine!r}.", next_step=f"Available: {', '.join(RUNNERS)}")
    found = find_engine(engine, settings)
    toolchain = find_toolchain()
    source = runner_source()
    sources = source_sha256(source)
    identity = "\n".join([abi, found.version, found.identity, toolchain.compiler_identity, sources])
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    path = settings.cache_dir / "bundles" / f"{abi}-{engine}-{found.version}-{key}"
    return _Plan(abi, found, toolchain, source, sources, path)


def _build(plan: _Plan) -> Bundle:
    definitions = plan.engine.definitions()
    log = plan.path.with_name(f"{plan.path.name}.log")
    with tempfile.TemporaryDirectory(dir=plan.path.parent, prefix=".build-") as scratch:
        staged = Path(scratch) / "bundle"
        with stage(f"build the runner for {plan.abi}"):
            _compile(plan, definitions, Path(scratch) / "build", staged, log)
        _copy_libraries(staged / "lib", plan)
        description = _Description(
            abi=plan.abi,
            engine=plan.engine.engine,
            engine_version=plan.engine.version,
            compiler=plan.toolchain.compiler_identity,
            files=file_entries(staged),
        )
        _check_self_contained(_bundle(staged, description), plan.engine)
        (staged / _DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n")
        # What is there now did not load; the lock keeps other builders away.
        shutil.rmtree(plan.path, ignore_errors=True)
        staged.rename(plan.path)
    return _bundle(plan.path, description)


def _bundle(path: Path, description: _Description) -> Bundle:
    return Bundle(description.abi, description.engine, description.engine_version, path, description.files)


def _compile(plan: _Plan, definitions: dict[str, str], build: Path, staged: Path, log: Path) -> None:
    definitions = {"CMAKE_BUILD_TYPE": "Release", "SLM_WARNINGS_AS_ERRORS": "OFF", **definitions}
    compile_runner(plan.source, build, plan.toolchain, log=log, definitions=definitions)
    install = [str(plan.toolchain.cmake), "--install", str(build), "--strip", "--prefix", str(staged)]
    run_logged(install, log)
    if source_sha256(plan.source) != plan.source_sha256:
        # Published, it would stand for sources that it was not built from.
        raise BuildFailed(
            "the sources changed during the build", subject=str(plan.source), next_step="Build again."
        )


def _copy_libraries(folder: Path, plan: _Plan) -> None:
    folder.mkdir()
    loader = LOADERS[plan.abi]
    for name in (loader, *_SYSTEM_LIBRARIES):
        shutil.copyfile(plan.toolchain.runtime_file(name), folder / name)
    for name, library in plan.engine.libraries.items():
        shutil.copyfile(library, folder / name)
    (folder / loader).chmod(0o755)


def _check_self_contained(bundle: Bundle, engine: EngineBuild) -> None:
    """Resolve every library as the loader will: one that the bundle lacks shows here, not on the device."""
    inside = str(bundle.path)
    loader_and_path = bundle.command(inside)[:3]
    for name in (bundle.runner, *(f"lib/{library}" for library in engine.libraries)):
        command = [*loader_and_path, "--list", f"{inside}/{name}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        foreign = [
            line.strip() for line in done.stdout.splitlines() if "=>" in line and f"=> {inside}/" not in line
        ]
        if done.returncode != 0 or foreign:
            raise EngineMismatch(
                f"{name} needs libraries that the bundle lacks: {', '.join(foreign) or done.stderr.strip()}",
                subject=f"{bundle.engine} {bundle.engine_version}",
                next_step="This is a bug of the toolkit with this engine version: please report it.",
            )
    done = subprocess.run(
        [*bundle.command(inside), "info"], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise EngineMismatch(
            f"the new bundle does not start (exit code {done.returncode}): {done.stderr.strip()[-1000:]}",
            subject=f"{bundle.engine} {bundle.engine_version}",
            next_step=f"Reinstall the engine and build again: pip install --force-reinstall {bundle.engine}",
        )
