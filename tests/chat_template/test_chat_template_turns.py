"""A template whose answers end with a token that ends nothing in transformers' ``generate()`` is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_templates import TEMPLATES
from tokenizers import AddedToken, Tokenizer, models

from toolkit.chat_format import ChatFormat
from toolkit.chat_template.splitting import split_template
from toolkit.chat_template.turns import unended_answers

SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|end_header_id|>"]


@pytest.mark.parametrize(
    ("template", "ends", "said"),
    [
        (TEMPLATES["chatml"], 2, "<|im_end|> (4)"),
        (TEMPLATES["chatml"], None, "<|im_end|> (4)"),
        (TEMPLATES["chatml"], 4, None),
        (TEMPLATES["chatml"], [2, 4], None),
        (TEMPLATES["llama_3"], [2, 4], "<|eot_id|> (5)"),
        (TEMPLATES["llama_3"], 5, None),
        (TEMPLATES["llama_2"], 2, None),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: ", 2, None),
    ],
)
def test_an_answer_that_nothing_ends_is_said(
    template: str, ends: Any, said: str | None, tmp_path: Path
) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    chat = split_template(template, {"bos_token": "<s>", "eos_token": "</s>"})
    assert isinstance(chat, ChatFormat)
    told = unended_answers(tmp_path, chat)
    assert (told is None) is (said is None)
    assert said is None or (told and said in told)
