"""A stranger at a shell: an empty home, and what the README shows to type."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from toolkit.settings import Settings

ROOT = Path(__file__).parents[2]


def commands(heading: str) -> list[str]:
    """The commands in the README's first block under a heading."""
    section = (ROOT / "README.md").read_text().partition(f"### {heading}\n")[2]
    block = re.search(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None, f"the README has no commands under {heading!r}"
    return block[1].splitlines()


class Stranger:
    """Types commands into a shell, in a folder and with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        home = folder / "home"
        home.mkdir()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLM_", "XDG_"))
        }
        # The runner's bundle is built once for all tests.
        cache = str(Settings.from_environment().cache_dir)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {**inherited, "HOME": str(home), "PATH": path, "SLM_CACHE_DIR": cache}

    def types(self, command: str, replaced: Mapping[str, str] = {}) -> str:
        """What the command prints; it must succeed."""
        for shown, meant in replaced.items():
            command = command.replace(shown, meant)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def unattended(self, command: str, replaced: Mapping[str, str] = {}, code: int = 0) -> str:
        """The same in an empty environment and another folder, as cron and systemd start commands.

        Args:
            command: to type.
            replaced: what stands in it, and what it stands for.
            code: how it must end.
        """
        venv = self.folder / ".venv"
        if not venv.exists():
            venv.symlink_to(Path(sys.executable).parents[1])
        kept = {name: self.environ[name] for name in ("HOME", "SLM_CACHE_DIR")}
        for shown, meant in {"/srv/lab": str(self.folder), **replaced}.items():
            command = command.replace(shown, meant)
        done = subprocess.run(
            ["sh", "-ec", command if "cd " in command else f"cd {self.folder} && {command}"],
            cwd="/",
            env={**kept, "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout
