"""How a study measures: the survey's own protocol, and ours.

The survey (arXiv 2409.15790, section 4 and 4.2.2) takes prompts and answers of 50 tokens, a context of 2048,
and pauses of 10 s between tests, 60 s where it compares phones. Repetitions and threads it does not state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.studies.request import ProtocolName


@dataclass(frozen=True)
class Protocol:
    """What a protocol fixes.

    Attributes:
        about: for people.
        profile: fields of a recipe's section `profile`.
        context: tokens of prompt and answer that artifacts are made for; None for their default.
    """

    about: str
    profile: Mapping[str, Any]
    context: int | None


PROTOCOLS: Mapping[ProtocolName, Protocol] = {
    "survey": Protocol(
        "the survey's: 50/50 tokens, context 2048, 10 s pauses",
        {"prompt_tokens": 50, "generate_tokens": 50, "repetitions": 5, "warmup": 1, "pause_s": 10.0},
        2048,
    ),
    "survey-phones": Protocol(
        "the survey's for phones: 50/50 tokens, context 2048, 60 s pauses",
        {"prompt_tokens": 50, "generate_tokens": 50, "repetitions": 5, "warmup": 1, "pause_s": 60.0},
        2048,
    ),
    "standard": Protocol(
        "docs/protocol.md: 512/128 tokens, the gate decides when a repetition starts, two rounds",
        {"prompt_tokens": 512, "generate_tokens": 128, "repetitions": 5, "warmup": 1, "rounds": 2},
        None,
    ),
    "smoke": Protocol(
        "whether everything works: 16/8 tokens, two repetitions; too short for figures",
        {"prompt_tokens": 16, "generate_tokens": 8, "repetitions": 2, "warmup": 0},
        None,
    ),
}
