"""What llama.cpp takes of a vocabulary whose keys say nothing, or something else than its tokens' texts.

The expected tokens are those of ``llama_vocab::impl::load``: special tokens by default, control tokens by
their texts, no token twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf_files import WriteGguf
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from toolkit.errors import SourceCorrupt
from toolkit.settings import Settings
from toolkit.sources import resolve

SIZE = 512
NORMAL = 1


@pytest.mark.parametrize("count", [SIZE - 1, SIZE + 1, 1])
def test_an_embedding_has_a_row_for_each_token(count: int, write_gguf: WriteGguf, settings: Settings) -> None:
    # llama.cpp: check_tensor_dims, "tensor 'token_embd.weight' has wrong shape".
    tokens = {"tokenizer.ggml.tokens": [f"t{index}" for index in range(count)]}
    with pytest.raises(SourceCorrupt, match=f"has {count} tokens, its embedding .* {SIZE} rows") as caught:
        resolve(str(write_gguf("llama-tiny", metadata=tokens)), settings)
    assert caught.value.subject and caught.value.next_step


def filled(tokens: list[str]) -> list[str]:
    return tokens + [f"[unused{index}]" for index in range(SIZE - len(tokens))]


def byte_level(*named: str) -> dict[str, Any]:
    tokens = filled([*sorted(ByteLevel.alphabet()), *named])
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": ["h e"],
        "tokenizer.ggml.token_type": [NORMAL] * SIZE,
        "tokenizer.ggml.bos_token_id": None,
        "tokenizer.ggml.eos_token_id": tokens.index("[unused0]"),
    }


def sentencepiece(*named: str) -> dict[str, Any]:
    tokens = filled(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "x", *named])
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(index) for index in range(SIZE)],
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[NORMAL] * (SIZE - 259)],
        "tokenizer.ggml.bos_token_id": None,
        "tokenizer.ggml.eos_token_id": None,
    }


def written(path: Path, folder: Path, settings: Settings) -> tuple[Tokenizer, dict[str, Any]]:
    folder.mkdir()
    resolve(str(path), settings).write_tokenizer(folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    return Tokenizer.from_file(str(folder / "tokenizer.json")), generation


@pytest.mark.parametrize("vocabulary", [byte_level, sentencepiece])
def test_tokens_that_look_like_control_tokens_are_some_whatever_their_type(
    vocabulary: Any, write_gguf: WriteGguf, settings: Settings, tmp_path: Path
) -> None:
    known = (
        "<|im_end|>",
        "<|eot_id|>",
        "<end_of_turn>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
    )
    path = write_gguf("llama-tiny", metadata=vocabulary("he", *known, "<other>"))
    tokenizer, _ = written(path, tmp_path / "written", settings)
    for token in known:
        assert token in tokenizer.encode(f"x{token}x").tokens
        assert token not in tokenizer.decode(tokenizer.encode(f"x{token}x").ids)
    assert "<other>" not in tokenizer.encode("x<other>x").tokens


def test_sentencepiece_vocabularies_have_a_first_and_an_end_token_by_default(
    write_gguf: WriteGguf, settings: Settings, tmp_path: Path
) -> None:
    tokenizer, generation = written(
        write_gguf("llama-tiny", metadata=sentencepiece()), tmp_path / "written", settings
    )
    assert tokenizer.encode("x").tokens[0] == "<s>"
    assert (generation["bos_token_id"], generation["eos_token_id"]) == (1, 2)


@pytest.mark.parametrize("vocabulary", [byte_level, sentencepiece])
def test_a_token_that_a_vocabulary_has_twice_is_refused(
    vocabulary: Any, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata=vocabulary("twice", "twice"))
    with pytest.raises(SourceCorrupt, match="'twice' 2 times") as caught:
        resolve(str(path), settings)
    assert caught.value.next_step


CHATML = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "adds", "expected"),
    [
        (CHATML, True, "<s>[user]x"),
        (CHATML, False, "[user]x"),
        ("{{ bos_token }}" + CHATML, True, "<s>[user]x"),
        ("{{ bos_token }}" + CHATML, False, "<s>[user]x"),
        ("{{ '<s>' }}" + CHATML, True, "<s>[user]x"),
    ],
)
def test_chat_prompts_begin_once_with_the_first_token_where_texts_do(
    template: str, adds: bool, expected: str, write_gguf: WriteGguf, settings: Settings, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    said = {"tokenizer.chat_template": template, "tokenizer.ggml.add_bos_token": adds}
    folder = tmp_path / "written"
    written(write_gguf("llama-tiny", metadata=sentencepiece() | said), folder, settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "x"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected
    assert tokenizer.encode(expected, add_special_tokens=False).count(1) == expected.count("<s>")


def test_what_a_gguf_file_asks_of_llama_cpps_sampling_is_said(
    write_gguf: WriteGguf, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"temp": 0.7, "top_k": 20, "top_p": 0.95, "min_p": 0.05, "penalty_repeat": 1.1}
    for said in (asked, {}):
        keys = {f"general.sampling.{key}": value for key, value in said.items()}
        path = write_gguf("llama-tiny", metadata=sentencepiece() | keys)
        resolve(str(path), settings).write_tokenizer(tmp_path)
        told = capsys.readouterr().err
        assert ("--temperature 0.7 --top-k 20 --top-p 0.95; asks for" in told) is bool(said)
        assert ("min_p 0.05, penalty_repeat 1.1, which is not applied" in told) is bool(said)


def test_a_tokenizer_or_a_template_that_a_file_lacks_is_said(
    write_gguf: WriteGguf, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for lacking, metadata in (
        ("no chat template", sentencepiece()),
        ("no tokenizer", dict.fromkeys(("tokenizer.ggml.tokens", "tokenizer.ggml.model"))),
        (None, sentencepiece() | {"tokenizer.chat_template": CHATML}),
    ):
        resolve(str(write_gguf("llama-tiny", metadata=metadata)), settings).write_tokenizer(tmp_path)
        told = capsys.readouterr().err
        assert (f"has {lacking}:" in told) if lacking else ("has no" not in told)
