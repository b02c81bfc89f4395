"""Every environment variable that the code reads or sets is in docs/configuration.md, and every setting."""

from __future__ import annotations

import re
from pathlib import Path

from toolkit.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
# What virtual phones give to programs on them is Android's, not ours.
CODE = [
    path
    for folder, ending in (("toolkit", "py"), ("device_runner", "cpp"))
    for path in (ROOT / folder).rglob(f"*.{ending}")
    if "virtual" not in path.parts and "tests" not in path.parts
]
# environ["X"], environ.get("X"), environ.setdefault("X"), {**os.environ, "X": ...}, getenv("X"), setenv("X"),
# and our own wherever they are named.
NAMED = re.compile(
    r"""(?:environ(?:\.get\(|\.setdefault\(|\[)|getenv\(|setenv\()\s*"([A-Z][A-Z0-9_]+)"|"(SLM_[A-Z0-9_]+)\""""
)
COPIED = re.compile(r"\*\*os\.environ,([^}]*)}")


def variables() -> set[str]:
    found: set[str] = set()
    for path in CODE:
        text = path.read_text()
        found.update(one or other for one, other in NAMED.findall(text))
        for rest in COPIED.findall(text):
            found.update(re.findall(r'"([A-Z][A-Z0-9_]+)":', rest))
    return found


def test_every_variable_is_documented() -> None:
    found = variables()
    # The search itself works.
    assert {"SLM_DATA_DIR", "CXX", "RAY_ADDRESS", "HF_HUB_DISABLE_TELEMETRY", "OMP_NUM_THREADS"} <= found
    # Options of the compilation have such names, too.
    builds = "".join(
        (ROOT / path).read_text()
        for path in ("device_runner/CMakeLists.txt", "android_app/native/CMakeLists.txt")
    )
    assert sorted(name for name in found if f"`{name}`" not in PAGE and name not in builds) == []


def test_every_setting_is_documented_as_its_help_says() -> None:
    for name, setting in SETTINGS.items():
        assert f"| `{name}` | `{setting.variable}` | {setting.help} |" in PAGE
