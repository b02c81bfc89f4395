"""The APK that is made here, and what is asserted of it."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jni_library import JNI_FUNCTIONS

from toolkit.app.android_tools import AndroidTools, find_tools
from toolkit.app.apk import add_aligned, build_check_apk
from toolkit.app.apk_check import PERMISSIONS, check_apk, exported_components
from toolkit.app.driver import CONTRACT, PACKAGE
from toolkit.app.shipped import in_app, shipped_engines
from toolkit.app.source import app_source, versions
from toolkit.engines.onnxruntime.headers import ORT_VERSION
from toolkit.errors import BuildFailed
from toolkit.settings import Settings

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def tools() -> AndroidTools:
    try:
        return find_tools(Settings.from_environment())
    except BuildFailed as error:
        pytest.skip(
            f"needs Debian's packages apksigner, android-framework-res and openjdk-17-jdk-headless: {error}"
        )


@pytest.fixture(scope="module")
def apk(tools: AndroidTools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_check_apk(tmp_path_factory.mktemp("apk") / "check.apk", Settings.from_environment())


def test_the_apk_asks_no_user_for_anything_and_guards_its_doors(apk: Path, tools: AndroidTools) -> None:
    facts = check_apk(apk, tools)
    assert set(facts.permissions) == PERMISSIONS and not any("INTERNET" in one for one in PERMISSIONS)
    assert facts.exported == {
        "slm.toolkit.app.MainActivity": None,
        "slm.toolkit.app.RunActivity": "android.permission.DUMP",
        "slm.toolkit.app.RunService": "android.permission.DUMP",
        "slm.toolkit.app.RunsProvider": "android.permission.DUMP",
    }
    assert facts.libraries == ("lib/arm64-v8a/libonnxruntime.so", "lib/x86_64/libonnxruntime.so")
    assert facts.jni_symbols == JNI_FUNCTIONS


def test_a_library_off_its_page_is_refused(apk: Path, tools: AndroidTools, tmp_path: Path) -> None:
    changed = tmp_path / "changed.apk"
    shutil.copy(apk, changed)
    with zipfile.ZipFile(changed, "a") as archive:
        library = archive.read("lib/x86_64/libonnxruntime.so")
        add_aligned(archive, "lib/x86_64/libother.so", library, alignment=4096, stored=True)
        if archive.infolist()[-1].header_offset % 16384 == 0:
            pytest.fail("lies at a page by chance")
    with pytest.raises(BuildFailed, match=r"libother\.so does not lie at a page"):
        check_apk(changed, tools)


def test_an_exported_component_without_a_guard_is_seen() -> None:
    tree = """
      E: application (line=5)
          E: service (line=12)
            A: http://schemas.android.com/apk/res/android:name(0x01010003)="a.B" (Raw: "a.B")
            A: http://schemas.android.com/apk/res/android:exported(0x01010010)=true
          E: provider (line=14)
            A: http://schemas.android.com/apk/res/android:name(0x01010003)="a.C" (Raw: "a.C")
            A: http://schemas.android.com/apk/res/android:exported(0x01010010)=false
"""
    assert exported_components(tree) == {"a.B": None}


def test_versions_are_written_in_one_place() -> None:
    source = app_source()
    known = versions(source)
    gradle = (source / "app" / "build.gradle.kts").read_text() + (source / "settings.gradle.kts").read_text()
    used = set(re.findall(r'(?:version|getProperty)\("(\w+)"\)', gradle))
    # What Gradle does not read, the toolkit does.
    assert set(known) - used == {"onnxruntime", "gradle"}
    assert used <= set(known)
    # No version is spelled out where one is read.
    files = [file.read_text() for file in source.rglob("*.gradle.kts")]
    assert len(files) == 4
    assert not re.search(r'(minSdk|targetSdk|compileSdk|versionCode) = \d|version "\d', "".join(files))
    cmake = (source / "native" / "CMakeLists.txt").read_text()
    needed = re.search(r"cmake_minimum_required\(VERSION ([\d.]+)\)", cmake)
    assert needed is not None
    assert numbers(needed[1]) <= numbers(known["cmake"])
    # Gradle builds the libraries of the engines that are shipped, for the ABIs that their libraries are for.
    # The other one takes a library that somebody has built, and says where.
    always, on_demand = re.findall(r'targets \+= "(\w+)"', gradle)
    assert [always] == [in_app(one.spec).library for one in shipped_engines()]
    assert on_demand == "slm_et" and "SLM_EXECUTORCH_PREFIX" in cmake
    assert all(re.search(rf"slm_add_app_library\(\s*{name} ", cmake) for name in (always, on_demand))
    assert known["abis"].split(",") == ["arm64-v8a", "x86_64"] and known["onnxruntime"] == ORT_VERSION
    assert (int(known["minSdk"]), int(known["targetSdk"])) == (26, 36)
    assert numbers(known["androidGradlePlugin"]) >= (8, 5) and numbers(known["ndk"]) >= (28,)
    # Android's plugin 8.13 takes Gradle 8.13 or newer (its release notes), which the wrapper brings.
    wrapper = (source / "gradle" / "wrapper" / "gradle-wrapper.properties").read_text()
    assert re.findall(r"gradle-([\d.]+)-bin\.zip", wrapper) == [known["gradle"]]
    assert numbers(known["gradle"]) >= numbers(known["androidGradlePlugin"])[:2]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(one) for one in version.split("."))


def test_everybody_means_the_same_app() -> None:
    source = app_source()
    package = versions(source)["applicationId"]
    gradle = (source / "app" / "build.gradle.kts").read_text()
    manifest = (source / "app" / "src" / "main" / "AndroidManifest.xml").read_text()
    assert package == PACKAGE and f'namespace = "{package}"' in gradle
    components = re.findall(r'android:name="(?!android\.)([\w.]+)"', manifest)
    assert len(components) == 7 and all(name.startswith(f"{package}.") for name in components)
    assert re.findall(r'android:authorities="(.*?)"', manifest) == [f"{package}.runs"]
    assert not re.search(r"uses-sdk|versionCode|versionName|package=", manifest)
    arguments = source / "core" / "src" / "main" / "kotlin" / "slm" / "toolkit" / "core" / "Arguments.kt"
    assert f"const val CONTRACT = {CONTRACT}\n" in arguments.read_text()


def test_texts_are_in_resources() -> None:
    main = app_source() / "app" / "src" / "main"
    for layout in (main / "res" / "layout").glob("*.xml"):
        assert not re.findall(r'android:(?:text|hint|contentDescription)="(?!@string/)', layout.read_text())
    spelled_out = re.compile(r'"\.format\(|(?:\.text = |makeText\(\w+, |setMessage\()"[^"]')
    found = set()
    for file in (main / "kotlin").rglob("*.kt"):
        code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", file.read_text(), flags=re.DOTALL)
        # Numbers, too, are written as the user's language has them.
        assert not spelled_out.search(code)
        found |= {text for text in re.findall(r'"((?:[^"\\]|\\.)*)"', code) if re.search(r"[A-Za-z] ", text)}
    # The log, and a fact in a record.
    assert found == {"not started: ${error.message}", "Android ${Build.VERSION.RELEASE}"}


def test_every_text_and_button_can_be_scrolled_to() -> None:
    main = app_source() / "app" / "src" / "main"
    code = "".join(file.read_text() for file in (main / "kotlin").rglob("*.kt"))
    scrolling = {"ScrollView", "ListView"}
    layouts = {
        file.stem: ElementTree.parse(file).getroot() for file in (main / "res" / "layout").glob("*.xml")
    }
    assert {"main", "main_header", "chat", "result", "run"} == set(layouts)
    for name, root in layouts.items():
        # What is put above a list scrolls with it.
        in_list = re.search(rf"addHeaderView\(layoutInflater\.inflate\(R\.layout\.{name},", code)
        assert root.tag in scrolling or in_list, name
        # One that scrolls by itself inside of another would take the gestures for both.
        assert not any(one.tag in scrolling for one in list(root.iter())[1:]), name
        for one in root.iter():
            size = one.get("{http://schemas.android.com/apk/res/android}layout_height")
            assert size in ("match_parent", "wrap_content", "0dp"), (
                f"{name}: {one.tag} has a height of its own"
            )
    # What takes the room that is left has some where none is.
    for name in ("run", "result"):
        [chart] = layouts[name].iter("slm.toolkit.app.StepsView")
        assert chart.get("{http://schemas.android.com/apk/res/android}minHeight")
