"""The common starting point: one GGUF file, the same weights as fp32 safetensors, the text as token ids."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.child import run_child
from benchmarks.environments import Environment
from benchmarks.errors import PeerFailed
from benchmarks.peers.base import PERPLEXITY_TIMEOUT_S, Workplace
from benchmarks.samples import Score, read_answer
from benchmarks.workload import WINDOW_TOKENS, Workload
from toolkit.evaluate.needle.haystack import TEXT
from toolkit.evaluate.windows import sliding_windows
from toolkit.files import put_in_place, sha256_of, staged_folder

_HERE = Path(__file__).parent
_TRANSFORMERS = _HERE / "drivers" / "transformers_driver.py"
_TEXT = _HERE / "drivers" / "text_driver.py"
TEXT_SHA256 = "12f7453f029c0a87ada709c534113ac92cc9504ec808c6689027c74dfc50fb5a"
_OFFLINE = {"HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Weights:
    """Where they are."""

    gguf: Path
    gguf_sha256: str
    hf_folder: Path
    vocab_size: int
    windows: list[list[int]]


def find_gguf(model: Path | None, out: Path) -> Path:
    """The file named on the command line, or the demo model.

    Raises:
        PeerFailed: the demo model cannot be had.
    """
    if model is not None:
        if not model.is_file():
            raise PeerFailed(f"no such file: {model}")
        return model.absolute()
    log = out / "logs" / "demo-model.log"
    run_child([sys.executable, _HERE / "drivers" / "demo_model.py"], log=log, timeout_s=900)
    return Path(log.read_text().strip().splitlines()[-1])


def prepare_weights(gguf: Path, out: Path, workload: Workload, environment: Environment) -> Weights:
    """Dequantize and tokenize with transformers, in the environment that has it.

    Raises:
        PeerFailed: the environment, the export or the tokenizer failed.
    """
    if sha256_of(TEXT) != TEXT_SHA256:
        raise PeerFailed(f"{TEXT.name} is not the text that earlier figures were taken on")
    environment.ensure(out / "logs" / f"{environment.name}-install.log")
    gguf_sha256 = sha256_of(gguf)
    folder = out / "models" / f"fp32-{gguf_sha256[:12]}"
    if not folder.is_dir():
        print("dequantize the source to fp32 safetensors ...", flush=True)
        with staged_folder(folder) as staged:
            export: list[str | Path] = [environment.python, _TRANSFORMERS, "export", gguf, staged]
            run_child(export, log=out / "logs" / "fp32-export.log", timeout_s=900, environment=_OFFLINE)
            put_in_place(staged, folder)
    tokens = out / "answers" / "tokens.json"
    tokens.parent.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [environment.python, _TRANSFORMERS, "tokenize", folder, TEXT, tokens]
    run_child(command, log=out / "logs" / "tokenize.log", timeout_s=300, environment=_OFFLINE)
    token_ids: list[int] = json.loads(tokens.read_text())["token_ids"]
    vocab_size: int = json.loads((folder / "config.json").read_text())["vocab_size"]
    cut = sliding_windows(token_ids, WINDOW_TOKENS, WINDOW_TOKENS, most=workload.windows)
    # What is left over at the end is dropped.
    whole = [list(window.ids) for window in cut if len(window.ids) == WINDOW_TOKENS]
    return Weights(gguf, gguf_sha256, folder, vocab_size, whole)


def reference_score(place: Workplace) -> Score:
    """Perplexity of the fp32 model in transformers, by the toolkit's own evaluation.

    Raises:
        PeerFailed: transformers failed.
    """
    engine = f"transformers {version('transformers')} torch {version('torch')} {sha256_of(_TEXT)}"
    return place.kept_score(place.hf_folder, engine, lambda: _reference_score(place))


def _reference_score(place: Workplace) -> Score:
    request = place.json_request("reference", place.windows, place.workload.threads)
    answer = place.answer("reference", "perplexity")
    command: list[str | Path] = [sys.executable, _TEXT, place.hf_folder, request]
    log = place.log("reference", "perplexity")
    run_child([*command, answer], log=log, timeout_s=PERPLEXITY_TIMEOUT_S, environment=_OFFLINE)
    return read_answer(answer, Score)
