"""Modes generate and info of the real runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from runner_process import Runner
from talking_artifact import tokenizer_of_bytes
from tiny_decoder import HEAD_DIM, KV_HEADS, LAYERS, VOCAB, TinyDecoder

PROMPT = [3, 77, 210, 5, 9]


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(map(str, PROMPT)))
    return path


def generate(runner: Runner, model: Path, prompt: Path, *more: str) -> list[dict[str, Any]]:
    done = runner("generate", "--model", model, "--prompt-file", prompt, "--run-id", "g1", *more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ids(records: list[dict[str, Any]]) -> list[int]:
    return [record["id"] for record in records if record["record"] == "token"]


def test_greedy_tokens_equal_numpy(runner: Runner, decoder: TinyDecoder, model: Path, prompt: Path) -> None:
    records = generate(runner, model, prompt, "--max-tokens", "12", "--prefill-chunk", "2")
    assert ids(records) == decoder.greedy(PROMPT, 12)
    assert [record["record"] for record in records] == ["start", *["token"] * 12, "end"]
    assert records[0]["mode"] == "generate"
    assert all(record["run_id"] == "g1" for record in records)
    assert all(record["ns"] > 0 for record in records[1:-1])
    assert records[-1]["records"] == 13


def test_text_has_what_the_last_token_began(runner: Runner, model: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_of_bytes()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    flags = ("--prompt", "Hi", "--tokenizer", tmp_path / "tokenizer.json", "--run-id", "g1")
    unfinished = 0
    for count in range(1, 9):
        done = runner("generate", "--model", model, *flags, "--max-tokens", str(count))
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert "".join(record.get("text", "") for record in records) == tokenizer.decode(ids(records))
        assert records[-1]["records"] == len(records) - 1
        unfinished += records[-2]["record"] == "text"
    assert unfinished > 0


def test_stop_tokens_end_it(runner: Runner, decoder: TinyDecoder, model: Path, prompt: Path) -> None:
    expected = decoder.greedy(PROMPT, 12)
    stop = expected[5]
    before = expected[: expected.index(stop)]
    records = generate(runner, model, prompt, "--max-tokens", "12", "--stop-tokens", f"{VOCAB - 1},{stop}")
    assert ids(records) == before


def test_sampling_follows_the_seed(runner: Runner, model: Path, prompt: Path) -> None:
    def sample(seed: str) -> list[int]:
        flags = ("--temperature", "5", "--top-p", "0.99", "--seed", seed, "--max-tokens", "12")
        return ids(generate(runner, model, prompt, *flags))

    assert sample("1") == sample("1")
    assert sample("1") != sample("2")


def test_top_k_of_one_is_greedy(runner: Runner, decoder: TinyDecoder, model: Path, prompt: Path) -> None:
    records = generate(runner, model, prompt, "--temperature", "5", "--top-k", "1", "--max-tokens", "6")
    assert ids(records) == decoder.greedy(PROMPT, 6)


def test_more_than_the_context_is_refused(runner: Runner, model: Path, prompt: Path) -> None:
    done = runner("generate", "--model", model, "--prompt-file", prompt, "--max-tokens", "1020")
    assert done.returncode == 6
    assert done.stdout == ""


def test_info_describes_runner_engine_and_model(runner: Runner, model: Path) -> None:
    done = runner("info", "--model", model)
    assert done.returncode == 0, done.stderr
    info = json.loads(done.stdout)
    assert info["engine"] == "onnxruntime"
    assert int(info["engine_version"].split(".")[1]) >= info["engine_interface_version"]
    # As the Python package of the same library lists them.
    assert info["providers"] == onnxruntime.get_available_providers()
    assert info["build_type"] == "Release"
    assert info["model"]["vocab_size"] == VOCAB
    assert info["model"]["context_length"] == 1024
    assert info["model"]["layers"] == LAYERS
    assert (info["model"]["kv_heads"], info["model"]["head_dim"]) == (KV_HEADS, HEAD_DIM)
    assert info["model"]["inputs"][0] == {"name": "input_ids", "type": "int64", "shape": [-1, -1]}
    assert "model" not in json.loads(runner("info").stdout)


def test_help_lists_flags_and_exit_codes(runner: Runner) -> None:
    for arguments in (["--help"], ["profile", "--help"], ["generate", "--help"], ["info", "--help"]):
        done = runner(*arguments)
        assert done.returncode == 0
        assert "6  more positions than the context length" in done.stdout
    assert runner().returncode == 2
    assert runner("dance").returncode == 2
