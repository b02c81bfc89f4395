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
        letters = [
            chr(code)
            for code in range(1, sys.maxunicode + 1)
            if known.category(chr(code)) not in ("Cn", "Cs")
        ]

    lines = ["".join(letters[start : start + 2000]) for start in range(0, len(letters), 2000)]
    for name in ("gpt-neox", "exaone"):
        assert_equal(program, name, tmp_path, lines)
