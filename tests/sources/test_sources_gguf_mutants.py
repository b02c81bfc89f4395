"""Vocabularies of GGUF files with values of other types and sizes: read, or refused in words."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from gguf_files import write_model
from tokenizers import Tokenizer

from toolkit.errors import ToolkitError
from toolkit.settings import Settings
from toolkit.sources import resolve

_SIZE = 512
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_LETTERS = ["\u2581", "\u0120", "\u010a", *(chr(code) for code in range(33, 127))]
_PIECES = ["<unk>", "<s>", "</s>", "<|im_end|>", *_BYTES, *_LETTERS, "he", "hell"]
_TOKENS = [*_PIECES, *(f"<filler{index}>" for index in range(_SIZE - len(_PIECES)))]
_WHOLE: dict[str, dict[str, Any]] = {
    "gpt2": {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.merges": ["h e", "he l", "hel l"],
        "tokenizer.ggml.tokens": [*_TOKENS[:-1], "hel"],
    },
    "llama": {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.scores": [float(-index) for index in range(_SIZE)],
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.tokens": _TOKENS,
    },
}
_OF_BOTH: dict[str, Any] = {
    "tokenizer.ggml.token_type": [2, 3, 3, 3, *[6] * 256, *[1] * (_SIZE - 260)],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.eot_token_id": 3,
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.padding_token_id": 2,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.add_eos_token": False,
    "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}",
}
_ODD_SCALARS: tuple[Any, ...] = (
    *(True, False, 0, 1, 3, -1, -(2**31), _SIZE - 1, _SIZE, 10**6, 2**32 - 1),
    *(0.5, float("nan"), float("inf"), "many", "gpt2", "llama", "default"),
)


def kind_of(value: Any) -> object:
    """The type of a value, and of a list's items."""
    return (list, type(value[0])) if isinstance(value, list) and value else type(value)


def mutated(value: Any, rng: random.Random) -> Any:
    """Another value in its place: of another type, or of another size."""
    if not isinstance(value, list) or rng.random() < 0.3:
        odd = rng.choice(_ODD_SCALARS)
        # Lists are written as signed numbers.
        listed = min(odd, 2**31 - 1) if isinstance(odd, int) else odd
        return [listed] * rng.choice((1, 3, _SIZE)) if rng.random() < 0.2 else odd
    ways: tuple[Any, ...] = (
        lambda: value[: len(value) // 2],
        lambda: [*value, value[0]],
        lambda: [value[-1]] * len(value),
        lambda: rng.sample(value, len(value)),
        lambda: [str(one) for one in value],
        lambda: [index % 7 for index, _ in enumerate(value)],
        lambda: [-1 for _ in value],
        lambda: [0.5 for _ in value],
        lambda: [True for _ in value],
        lambda: [float("nan")] * len(value),
        lambda: ["" for _ in value],
    )
    return rng.choice(ways)()


def check_mutants(seed: int, count: int, place: Path, settings: Settings) -> None:
    rng = random.Random(seed)
    source = resolve("random:llama-tiny", settings)
    outcomes = {"read": 0, "refused": 0}
    for number in range(count):
        whole = {**_OF_BOTH, **_WHOLE[rng.choice(list(_WHOLE))]}
        key = rng.choice(list(whole))
        value = mutated(whole[key], rng)
        folder = place / "mutant"
        folder.mkdir()
        try:
            outcome = read(folder, settings, source, whole | {key: value})
            assert outcome == "refused" or kind_of(value) == kind_of(whole[key]), "of another type, and read"
        except BaseException as error:
            error.add_note(f"mutant {number} of seed {seed}: {key} = {str(value)[:80]}")
            raise
        outcomes[outcome] += 1
        shutil.rmtree(folder)
    assert min(outcomes.values()) > count // 20, outcomes


def read(folder: Path, settings: Settings, source: Any, metadata: dict[str, Any]) -> str:
    """Read a file, and say whether it was refused; what is written can be used."""
    file = folder / "m.gguf"
    write_model(file, source, "llama", metadata=metadata)
    try:
        resolve(str(file), settings).write_tokenizer(folder)
    except ToolkitError as error:
        assert error.subject and error.next_step, error
        return "refused"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.decode(tokenizer.encode("hello, <|im_end|> h\u00e9\n").ids)
    return "read"


@pytest.mark.parametrize("kind", _WHOLE)
def test_the_files_that_mutants_are_made_of_are_read(kind: str, tmp_path: Path, settings: Settings) -> None:
    source = resolve("random:llama-tiny", settings)
    assert read(tmp_path, settings, source, {**_OF_BOTH, **_WHOLE[kind]}) == "read"


@pytest.mark.filterwarnings("ignore")  # of transformers, about what it reads
def test_mutants_of_vocabularies_are_read_or_refused(tmp_path: Path, settings: Settings) -> None:
    check_mutants(1, 60, tmp_path, settings)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
def test_two_thousand_mutants_of_vocabularies_are_read_or_refused(tmp_path: Path, settings: Settings) -> None:
    check_mutants(2, 2000, tmp_path, settings)
