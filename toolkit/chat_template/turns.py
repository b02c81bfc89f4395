"""Whether a model's answers end: the token that a chat template writes behind them ends a text."""

from __future__ import annotations

import json
from pathlib import Path

from toolkit.chat_format import ChatFormat


def unended_answers(folder: Path, chat: ChatFormat) -> str | None:
    """What is said of a template whose answers end with a token that ends nothing; None where it does not.

    Args:
        folder: holds tokenizer.json and generation_config.json.
        chat: what the template writes around messages.
    """
    from tokenizers import Tokenizer

    behind = chat.after_answer.lstrip()
    added = Tokenizer.from_file(str(folder / "tokenizer.json")).get_added_tokens_decoder()
    found = [(token.content, number) for number, token in added.items() if behind.startswith(token.content)]
    if not found:
        return None
    text, number = max(found, key=lambda one: len(one[0]))
    ends = json.loads((folder / "generation_config.json").read_text(encoding="utf-8")).get("eos_token_id")
    if number in (ends if isinstance(ends, list) else [ends]):
        return None
    return (
        f"The chat template ends answers with {text} ({number}), which is no end token of the model: "
        f"generation may go on behind it. To end there, add {number} to eos_token_id in the model's "
        "generation_config.json and convert again."
    )
