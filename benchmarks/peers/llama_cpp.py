"""llama.cpp, built from source for this CPU, on GGUF files that it quantized from the same weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Set
from pathlib import Path

from benchmarks.child import run_child
from benchmarks.environments import Environment
from benchmarks.errors import PeerFailed
from benchmarks.peers.base import CONVERSION_TIMEOUT_S, PERPLEXITY_TIMEOUT_S, PROFILE_TIMEOUT_S, Workplace
from benchmarks.samples import ConversionCost, ProfileSample, Score, read_answer
from toolkit.files import whole_file

_DRIVER = Path(__file__).parents[1] / "drivers" / "llama_cpp_driver.cpp"
# llama_ftype in llama.h.
FILE_TYPES = {"F32": 0, "Q4_0": 2, "Q4_K_M": 15}
# LLAMA_FLASH_ATTN_TYPE_AUTO, which turns it on here: the faster setting (docs/benchmarks.md).
_FLASH_ATTENTION = -1
# Kernel's name of an instruction set -> ggml's build option and its name in llama_print_system_info.
_INSTRUCTION_SETS = {
    "avx": ("GGML_AVX", "AVX"),
    "avx2": ("GGML_AVX2", "AVX2"),
    "fma": ("GGML_FMA", "FMA"),
    "f16c": ("GGML_F16C", "F16C"),
    "bmi2": ("GGML_BMI2", "BMI2"),
    "avx_vnni": ("GGML_AVX_VNNI", "AVX_VNNI"),
    "avx512f": ("GGML_AVX512", "AVX512"),
    "avx512_vnni": ("GGML_AVX512_VNNI", "AVX512_VNNI"),
    "avx512vbmi": ("GGML_AVX512_VBMI", "AVX512_VBMI"),
    "avx512_bf16": ("GGML_AVX512_BF16", "AVX512_BF16"),
}


def build_variables(cpu_flags: Set[str], architecture: str) -> dict[str, str]:
    """CMAKE_ARGS for this CPU.

    On x86 every instruction set is named: a native build takes AMX too, which virtual machines report and
    then fault on. Elsewhere a native build is right.
    """
    if architecture != "x86_64":
        return {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
    wanted = _wanted(cpu_flags)
    options = [
        f"-D{option}={'ON' if name in wanted else 'OFF'}" for option, name in _INSTRUCTION_SETS.values()
    ]
    return {"CMAKE_ARGS": " ".join(["-DGGML_NATIVE=OFF", *options])}


def missing_instruction_sets(system_info: str, cpu_flags: Set[str]) -> list[str]:
    """What the CPU has and the build lacks, by llama.cpp's own account ("AVX2 = 1 | FMA = 1 | ...")."""
    built = {part.split("=")[0].split(":")[-1].strip() for part in system_info.split("|") if "= 1" in part}
    return [name for name in _wanted(cpu_flags) if name not in built]


def _wanted(cpu_flags: Set[str]) -> list[str]:
    names = [name for flag, (_, name) in _INSTRUCTION_SETS.items() if flag in cpu_flags]
    # ggml looks at AVX-VNNI only where the 512-bit one is missing.
    return [name for name in names if name != "AVX_VNNI" or "AVX512_VNNI" not in names]


class LlamaCpp:
    """The library in its environment and our driver linked against it."""

    def __init__(self, environment: Environment, cpu_flags: Set[str]) -> None:
        self._environment = environment
        self._cpu_flags = cpu_flags
        self.system_info = ""

    def install(self, place: Workplace) -> None:
        """Make the environment and the driver; a build without this CPU's instructions is made again."""
        if self.system_info:
            return
        log = place.log(self._environment.name, "install")
        self._environment.ensure(log)
        self._build_driver(place)
        self.system_info = self._read_system_info(place)
        if missing_instruction_sets(self.system_info, self._cpu_flags):
            # pip's cache of built wheels does not know which options a wheel was built with.
            requirements = str(self._environment.requirements)
            print("build llama.cpp for this CPU ...", flush=True)
            self._environment.pip_install(log, "--force-reinstall", "--no-cache-dir", "-r", requirements)
            self.system_info = self._read_system_info(place)
        if missing := missing_instruction_sets(self.system_info, self._cpu_flags):
            self.system_info = ""
            raise PeerFailed(f"built without {', '.join(missing)}, which this CPU has")

    @property
    def _driver(self) -> Path:
        identity = hashlib.sha256(_DRIVER.read_bytes()).hexdigest()[:12]
        return self._environment.path / f"llama_cpp_driver-{identity}"

    def _build_driver(self, place: Workplace) -> None:
        packages = self._environment.site_packages
        command: list[str | Path] = [os.environ.get("CXX", "g++"), "-std=c++20", "-O2", "-Wall", "-Wextra"]
        command += [f"-I{packages / 'include'}", str(_DRIVER), f"-L{packages / 'lib'}"]
        command += ["-lllama", "-lggml", "-lggml-base", f"-Wl,-rpath,{packages / 'lib'}"]
        run_child([*command, "-o", self._driver], log=place.log("llama_cpp", "driver"), timeout_s=300)

    def _read_system_info(self, place: Workplace) -> str:
        log = place.log("llama_cpp", "info")
        run_child([self._driver, "info"], log=log, timeout_s=60)
        return log.read_text().strip().splitlines()[-1]

    def quantize(self, place: Workplace, source: Path, output: Path, file_type: str) -> ConversionCost:
        """Quantize a GGUF file."""
        output.parent.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [self._driver, "quantize", source, output]
        command += [str(FILE_TYPES[file_type]), str(place.workload.threads)]
        log = place.log("llama_cpp", f"quantize-{file_type}")
        usage = run_child(command, log=log, timeout_s=CONVERSION_TIMEOUT_S)
        return ConversionCost(
            label=f"quantize {file_type}", seconds=usage.seconds, peak_rss_bytes=usage.peak_rss_bytes
        )

    def profile(self, place: Workplace, name: str, model: Path) -> ProfileSample:
        """One process."""
        output = place.answer(name, "profile")
        request = self._request(place, f"{name}-profile", [place.prompt()], place.workload.context_length)
        log = place.log(name, "profile")
        run_child([self._driver, "profile", model, request, output], log=log, timeout_s=PROFILE_TIMEOUT_S)
        return read_answer(output, ProfileSample)

    def score(self, place: Workplace, name: str, model: Path) -> Score:
        """Perplexity."""
        # The driver's name holds its hash.
        engine = f"{self._environment.identity} {self._driver.name}"
        return place.kept_score(model, engine, lambda: self._score(place, name, model))

    def _score(self, place: Workplace, name: str, model: Path) -> Score:
        output = place.answer(name, "perplexity")
        longest = max(len(window) for window in place.windows)
        request = self._request(place, f"{name}-perplexity", place.windows, longest)
        command: list[str | Path] = [self._driver, "perplexity", model, request, output]
        run_child(command, log=place.log(name, "perplexity"), timeout_s=PERPLEXITY_TIMEOUT_S)
        return read_answer(output, Score)

    def versions(self, place: Workplace) -> dict[str, str]:
        """The wheel's version and what it was built with."""
        installed = self._environment.versions(place.log(self._environment.name, "versions"))
        return {
            "llama-cpp-python": installed.get("llama_cpp_python", installed.get("llama-cpp-python", "?")),
            "llama.cpp build": self.system_info,
        }

    @staticmethod
    def _request(place: Workplace, name: str, sequences: list[list[int]], context: int) -> Path:
        workload = place.workload
        lines = [
            f"threads {workload.threads}",
            f"context {context}",
            f"flash_attention {_FLASH_ATTENTION}",
            f"generate_tokens {workload.generate_tokens}",
            f"warmup {workload.warmup}",
            f"repetitions {workload.repetitions}",
        ]
        lines += [f"tokens {len(tokens)} {' '.join(map(str, tokens))}" for tokens in sequences]
        path = place.out / "requests" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path


class LlamaCppRow:
    """One GGUF file: quantized by llama.cpp from fp32, or the source file as it is."""

    engine = "llama.cpp"
    notes = (
        "whole prompt in one batch, flash attention on, weights repacked at load, mmap, KV cache fp16 "
        "(llama.cpp's defaults and fastest settings)"
    )

    def __init__(self, engine: LlamaCpp, file_type: str | None, out: Path) -> None:
        label = file_type or "source file"
        self.name = f"llama.cpp-{label.lower().replace(' ', '-')}"
        self.title = f"llama.cpp, {label}"
        self._engine = engine
        self._file_type = file_type
        self._models = out / "models"
        self._model = self._models / f"{self.name}.gguf"

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Dequantize the source to fp32 (not counted: every engine starts there), then quantize."""
        self._engine.install(place)
        if self._file_type is None:
            self._model = place.gguf
            return []
        full = self._models / "fp32.gguf"
        if not full.is_file():
            with whole_file(full) as partial:
                self._engine.quantize(place, place.gguf, partial, "F32")
        return [self._engine.quantize(place, full, self._model, self._file_type)]

    def files_bytes(self) -> int:
        """One file holds everything."""
        return self._model.stat().st_size

    def profile(self, place: Workplace) -> ProfileSample:
        """One process."""
        return self._engine.profile(place, self.name, self._model)

    def perplexity(self, place: Workplace) -> Score:
        """Score the windows."""
        return self._engine.score(place, self.name, self._model)

    def versions(self, place: Workplace) -> dict[str, str]:
        """The wheel's version."""
        return self._engine.versions(place)
