"""The rows on ExecuTorch: what is converted once, and how its own runner is driven."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.drivers import executorch_driver
from benchmarks.environments import Environment
from benchmarks.errors import PeerFailed
from benchmarks.kept import KeptAnswers
from benchmarks.peers.base import Workplace
from benchmarks.peers.executorch import ExecutorchEngine
from benchmarks.workload import Workload

# Stands for optimum-cli: leaves a program and a line per call.
_CLI = """#!/bin/sh
while [ "$1" != --output_dir ]; do shift; done
mkdir -p "$2" && echo program > "$2/model.pte"
echo called >> "$(dirname "$0")/calls"
"""


@pytest.fixture
def engine(tmp_path: Path) -> ExecutorchEngine:
    environment = Environment("optimum_executorch", tmp_path / "venvs")
    cli = environment.path / "bin" / "optimum-cli"
    cli.parent.mkdir(parents=True)
    cli.write_text(_CLI)
    cli.chmod(0o755)
    return ExecutorchEngine(environment)


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "venvs/optimum_executorch/bin/calls").read_text().splitlines())


def place(tmp_path: Path, *, source: str = "ab" * 32, fresh: bool = False) -> Workplace:
    folder = tmp_path / "hf"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text("{}")
    kept = KeptAnswers(tmp_path / "kept", fresh=fresh)
    return Workplace(tmp_path, tmp_path / "m.gguf", source, folder, Workload(), 1000, [[1, 2, 3]], kept)


def test_the_peer_converts_once_and_tells_the_cost_again(engine: ExecutorchEngine, tmp_path: Path) -> None:
    folder, cost = engine.export(place(tmp_path))
    assert {file.name for file in folder.iterdir()} == {"model.pte", "tokenizer.json"}
    assert cost.label.startswith("optimum-cli, taken 20")
    assert engine.export(place(tmp_path)) == (folder, cost)
    assert calls(tmp_path) == 1


def test_other_weights_are_another_conversion(engine: ExecutorchEngine, tmp_path: Path) -> None:
    first, _ = engine.export(place(tmp_path))
    second, _ = engine.export(place(tmp_path, source="cd" * 32))
    assert first != second and first.is_dir()
    assert calls(tmp_path) == 2


def test_a_conversion_is_taken_again_when_asked_or_when_it_is_not_whole(
    engine: ExecutorchEngine, tmp_path: Path
) -> None:
    folder, _ = engine.export(place(tmp_path))
    engine.export(place(tmp_path, fresh=True))
    assert calls(tmp_path) == 2
    (folder / "tokenizer.json").unlink()
    engine.export(place(tmp_path))
    assert calls(tmp_path) == 3


def test_a_prompt_longer_than_a_window_is_refused(engine: ExecutorchEngine, tmp_path: Path) -> None:
    workplace = place(tmp_path)
    workload = Workload(prompt_tokens=513)
    longer = Workplace(**{**vars(workplace), "workload": workload})
    with pytest.raises(PeerFailed, match="513 tokens is longer than a window"):
        engine.profile(longer, "row", tmp_path)


def test_the_first_token_belongs_to_prefill() -> None:
    run = executorch_driver.Generated(100, [400, 410, 430], prompt_tokens=5, load_ms=0)
    repetition = run.as_repetition(warmup=False)
    assert repetition == {"warmup": False, "prefill_ns": 300, "decode_ns": [10, 20]}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, int]], None]]:
    """Lets the driver's runner answer each prompt with so many tokens."""

    def set_lengths(lengths: dict[str, int]) -> None:
        def generate(runner: object, prompt: str, count: int) -> executorch_driver.Generated:
            return executorch_driver.Generated(0, list(range(min(lengths[prompt], count))), 5, 0)

        monkeypatch.setattr(executorch_driver, "generate", generate)

    yield set_lengths


def test_a_prompt_that_is_answered_at_length_is_chosen(answers: Callable[[dict[str, int]], None]) -> None:
    answers({"short": 3, "long": 99, "longer": 200})
    warm, prompt = executorch_driver.first_long_enough(SimpleNamespace(), ["short", "long", "longer"], 8)
    assert prompt == "long"
    assert len(warm.token_ns) == 8


def test_no_prompt_that_is_long_enough_ends_the_driver(answers: Callable[[dict[str, int]], None]) -> None:
    answers({"short": 3})
    with pytest.raises(SystemExit, match="no prompt of 1 is answered with 8 tokens"):
        executorch_driver.first_long_enough(SimpleNamespace(), ["short"], 8)


def test_only_texts_that_come_back_as_the_same_count_are_prompts(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"one": 0, "two": 1, "three four": 2, "?": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert executorch_driver.prompts(tmp_path / "tokenizer.json", [[0, 1], [0, 2]]) == ["one two"]
