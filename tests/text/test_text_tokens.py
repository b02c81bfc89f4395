"""The runner's tokenizer beside Hugging Face's, token for token."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from compiled_programs import TESTS, compile_programs
from tokenizers import Tokenizer
from tokenizers_of_families import CORPUS, FAMILIES

from toolkit.runtime.runner_source import runner_source

# Of many scripts, with letters that compose, order, fold, join and fall outside of the first plane.
SCRIPTS = (
    *(
        (0x20, 0x7E),
        (0xA0, 0x17F),
        (0x300, 0x36F),
        (0x370, 0x3FF),
        (0x400, 0x4FF),
        (0x5D0, 0x5EA),
        (0x600, 0x6FF),
    ),
    *((0x900, 0x97F), (0xB80, 0xBFF), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2000, 0x206F)),
    *(
        (0x2100, 0x218F),
        (0x2460, 0x24FF),
        (0x3040, 0x30FF),
        (0x4E00, 0x4FFF),
        (0xAC00, 0xACFF),
        (0xF900, 0xFAFF),
    ),
    *((0xFB00, 0xFB4F), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1F64F), (0x20000, 0x200FF)),
)
PARTS = (
    *(
        "'s",
        "'S",
        "'ſ",
        "'ll",
        "'VE",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        " ",
        "　",
        "\u0085",
        "123",
        "45678",
        "²½",
        "word",
    ),
    *(
        "<|user|>",
        "<|left|>",
        "<tool>",
        "<|im_start|>",
        "<|endoftext|>",
        "<s>",
        "</s>",
        "<unk>",
        "<0x41>",
        "▁",
        "▁▁",
        "İ",
        "ẞ",
    ),
    *(
        "e\u0301\u0323",
        "q\u0307\u0323",
        "각",
        "\u1112\u1161\u11ab",
        "\u0344",
        "A\u030a",
        "ﬁ",
        "㌀",
        "\u200d",
        "\ufeff",
    ),
)


def fuzzed(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)

    def part() -> str:
        kind = generator.random()
        if kind < 0.3:
            return generator.choice(PARTS)
        if kind < 0.5:
            words = generator.choice(CORPUS).split(" ")
            start = generator.randrange(len(words))
            return " ".join(words[start : start + generator.randint(1, 4)])
        first, last = generator.choice(SCRIPTS)
        letters = [chr(generator.randint(first, last)) for _ in range(generator.randint(1, 6))]
        return "".join(one for one in letters if unicodedata.category(one) != "Cn")

    return ["".join(part() for _ in range(generator.randint(1, 8))) for _ in range(count)]


@pytest.fixture(scope="module")
def program(programs: Path) -> Path:
    return programs / "tokenizer_texts"


def ours(program: Path, tokenizer: Path, texts: Sequence[str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [program, tokenizer],
        input="".join(f"{text}\0" for text in texts).encode(),
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    # As bytes: a line separator of Unicode is no end of a line.
    return [json.loads(line) for line in done.stdout.split(b"\n") if line]


def assert_equal(program: Path, name: str, folder: Path, texts: Sequence[str]) -> None:
    FAMILIES[name]().save(str(folder / "tokenizer.json"))
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    answers = ours(program, folder / "tokenizer.json", texts)
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        plain = theirs.encode(text, add_special_tokens=False).ids
        assert answer["ids"] == plain, text
        assert answer["special"] == theirs.encode(text).ids, text
        assert answer["text"] == theirs.decode(plain), text


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_are_those_of_hugging_face(program: Path, name: str, tmp_path: Path) -> None:
    assert_equal(program, name, tmp_path, [*CORPUS[:5], "", " ", "   ", *PARTS, *fuzzed(14, 120)])


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_texts_have_the_tokens_of_hugging_face(program: Path, name: str, tmp_path: Path) -> None:
    assert_equal(program, name, tmp_path, fuzzed(2026, 10_000))


@pytest.mark.parametrize(
    ("part", "description", "said"),
    [
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": ""}, "the normalizer Precompiled"),
        ("pre_tokenizer", {"type": "UnicodeScripts"}, "the pre-tokenizer UnicodeScripts"),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": r"\p{Han}+"}, "behavior": "Isolated"},
            "property Han",
        ),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": r"(?<=a)b"}, "behavior": "Isolated"}, "(?<"),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "(a*)*"}, "behavior": "Isolated"},
            "may be empty",
        ),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "a)"}, "behavior": "Isolated"},
            "unmatched )",
        ),
        ("model", {"type": "WordPiece", "vocab": {}}, "a model of type 'WordPiece'"),
        ("model", {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}, "not in the vocabulary"),
        ("post_processor", {"type": "BertProcessing"}, "the post-processor BertProcessing"),
        ("decoder", {"type": "CTC"}, "the decoder CTC"),
    ],
)
def test_a_part_that_is_not_known_is_named(
    program: Path, part: str, description: dict[str, Any], said: str, tmp_path: Path
) -> None:
    whole = json.loads(byte_level_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**whole, part: description}))
    assert said in refusal(program, tmp_path / "tokenizer.json")


def test_a_damaged_file_is_refused(program: Path, tmp_path: Path) -> None:
    assert_damage_is_refused(program, tmp_path, mutants=60)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_tokenizer_stays_in_its_memory(tmp_path: Path) -> None:
    definitions = {"CMAKE_BUILD_TYPE": "Debug", "SLM_SANITIZE": "address,undefined"}
    build = compile_programs(tmp_path, "tokenizer_texts", engines=["onnxruntime"], **definitions)
    program = build / TESTS / "tokenizer_texts"
    for name in FAMILIES:
        assert_equal(program, name, tmp_path, [*CORPUS, *PARTS, *fuzzed(7, 500)])
    assert_damage_is_refused(program, tmp_path, mutants=1000)


def assert_damage_is_refused(program: Path, tmp_path: Path, *, mutants: int) -> None:
    whole = byte_level_text().encode()
    generator = random.Random(9)
    file = tmp_path / "tokenizer.json"
    for broken in (
        b"",
        b"[" * 100_000,
        b'{"model": "\xff"}',
        b'{"a": "\\ud800"}',
        b"{}",
        whole[:-1],
        whole + b"x",
    ):
        file.write_bytes(broken)
        refusal(program, file)
    for _ in range(mutants):
        at = generator.randrange(len(whole))
        file.write_bytes(whole[:at] + bytes([generator.randrange(256)]) + whole[at + 1 :])
        done = subprocess.run([program, file], input=b"Hello\0", capture_output=True, timeout=60)
        assert done.returncode in (0, 1), done.stderr.decode()
    file.unlink()
    assert "No such file" in refusal(program, file)


def byte_level_text() -> str:
    return str(FAMILIES["gpt-2"]().to_str())


def refusal(program: Path, tokenizer: Path) -> str:
    done = subprocess.run([program, tokenizer], input=b"Hello\0", capture_output=True, timeout=60)
    assert done.returncode == 1, done.stdout
    return done.stderr.decode()


def test_the_tables_of_unicode_are_those_that_their_script_writes() -> None:
    folder = runner_source() / "text"
    script = [sys.executable, folder / "write_unicode_tables.py"]
    written = subprocess.run(script, capture_output=True, check=True, text=True, timeout=120).stdout
    version = f"Unicode {unicodedata.unidata_version};"
    if (
        version not in written.partition("\n")[0]
        or version not in (folder / "unicode_tables.inc").read_text()[:200]
    ):
        pytest.skip("this Python knows another version of Unicode")
    assert (folder / "unicode_tables.inc").read_text() == written


def test_every_letter_is_normalized_as_by_hugging_face(program: Path, tmp_path: Path) -> None:
    # Hugging Face's library normalizes by a Unicode of before 2019.
    known = unicodedata.ucd_3_2_0
    codes = range(1, sys.maxunicode + 1)
    letters = [chr(code) for code in codes if known.category(chr(code)) not in ("Cn", "Cs")]
    lines = ["".join(letters[start : start + 2000]) for start in range(0, len(letters), 2000)]
    for name in ("gpt-neox", "exaone"):
        assert_equal(program, name, tmp_path, lines)
