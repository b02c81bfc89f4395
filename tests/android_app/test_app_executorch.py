"""ExecuTorch from its sources, as Android takes it: targets get the wheel's names, what registers is kept.

There is no NDK here: what is linked are stand-ins with the names of ExecuTorch's own installed package.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolkit.app.source import app_source
from toolkit.runtime.runner_source import runner_source

# Those that register something when a program begins, and what it is.
REGISTERING = ("prim_ops_lib", "optimized_native_cpu_ops_lib", "quantized_ops_lib", "xnnpack_backend")
OTHERS = ("executorch", "extension_threadpool", "extension_data_loader", "extension_tensor")
KEEPS = """
target_link_options({name} INTERFACE
  "SHELL:LINKER:--whole-archive $<TARGET_FILE:{name}> LINKER:--no-whole-archive")
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def succeed(*command: str | Path) -> str:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install_stand_in(prefix: Path, *, keeping: Sequence[str] = (), without: str = "") -> Path:
    """Static libraries and a package with bare names; those of ``keeping`` say that they are kept whole."""
    names = [name for name in ("executorch_core", *OTHERS, *REGISTERING) if name != without]
    (prefix / "lib" / "cmake" / "ExecuTorch").mkdir(parents=True)
    for name in names:
        registers = f'static bool done = seen("{name}");' if name in REGISTERING else ""
        body = f"void {name}_of_it() {{}}"
        if name == "executorch_core":
            body = "#include <cstdio>\nbool seen(const char *name) { return std::puts(name) > 0; }"
        source = prefix / f"{name}.cpp"
        source.write_text(f"bool seen(const char *);\n{body}\n{registers}\n")
        succeed("c++", "-c", source, "-o", prefix / f"{name}.o")
        succeed("ar", "rcs", prefix / "lib" / f"lib{name}.a", prefix / f"{name}.o")
    config = ["cmake_minimum_required(VERSION 3.19)", f'set(EXECUTORCH_INCLUDE_DIRS "{prefix}/include")']
    for name in names:
        config.append(f"add_library({name} STATIC IMPORTED)")
        config.append(
            f'set_target_properties({name} PROPERTIES IMPORTED_LOCATION "{prefix}/lib/lib{name}.a")'
        )
        if name != "executorch_core":
            config.append(f"target_link_libraries({name} INTERFACE executorch_core)")
        if name in keeping:
            config.append(KEEPS.format(name=name))
    (prefix / "include").mkdir()
    (prefix / "lib" / "cmake" / "ExecuTorch" / "executorch-config.cmake").write_text("\n".join(config))
    return prefix


@pytest.mark.parametrize("keeping", [(), ("prim_ops_lib", "xnnpack_backend")])
def test_all_that_registers_is_linked_once(tmp_path: Path, keeping: Sequence[str]) -> None:
    prefix = install_stand_in(tmp_path / "installed", keeping=keeping)
    mapping = runner_source() / "engines" / "executorch" / "in_tree_targets.cmake"
    (tmp_path / "main.cpp").write_text("int main() {}\n")
    components = "runtime threadpool kernels_optimized kernels_quantized backend_xnnpack"
    (tmp_path / "CMakeLists.txt").write_text(f"""
cmake_minimum_required(VERSION 3.28)
project(linked LANGUAGES CXX)
find_package(executorch REQUIRED GLOBAL)
include({mapping})
slm_name_in_tree_targets()
add_executable(linked main.cpp)
foreach(component {components})
  target_link_libraries(linked PRIVATE executorch::${{component}})
endforeach()
""")
    succeed("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    succeed("cmake", "--build", tmp_path / "build")
    assert sorted(succeed(tmp_path / "build" / "linked").split()) == sorted(REGISTERING)


@pytest.mark.parametrize("without", ["", "quantized_ops_lib", "executorch"])
def test_the_apps_library_is_configured_with_it_or_says_what_is_missing(tmp_path: Path, without: str) -> None:
    prefix = install_stand_in(tmp_path / "installed", without=without)
    done = run(
        *("cmake", "-S", app_source() / "native", "-B", tmp_path / "build"),
        *("-DSLM_ENGINE_ONNXRUNTIME=OFF", "-DSLM_ENGINE_EXECUTORCH=ON", f"-DSLM_EXECUTORCH_PREFIX={prefix}"),
        f"-DSLM_DEVICE_RUNNER={runner_source()}",
    )
    if without:
        said = " ".join(done.stderr.split())
        assert done.returncode != 0 and without in said
        assert "docs/android_app.md" in said or "neither the wheel's targets" in said
    else:
        assert done.returncode == 0, done.stderr
        targets = succeed("cmake", "--build", tmp_path / "build", "--target", "help")
        assert "slm_et" in targets and "slm_ort" not in targets
