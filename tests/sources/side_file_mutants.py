"""Damage as side files meet it: cut, half edited, mixed up, of another type."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2,
    10**12,
    1.5,
    "",
    "<s>",
    "<nosuch>",
    "\ud800",
    [],
    [1],
    {},
    {"a": 1},
)
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1234\n"
_MORE = ("generation_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json")
_KEYS = (
    "eos_token_id", "bos_token_id", "pad_token_id", "eos_token", "bos_token", "pad_token", "unk_token",
    "chat_template", "added_tokens_decoder", "extra_special_tokens", "additional_special_tokens",
    "tokenizer_class", "add_bos_token", "add_prefix_space", "split_special_tokens", "model_max_length",
    "padding_side", "clean_up_tokenization_spaces", "auto_map", "fast_tokenizer_files", "legacy",
)  # fmt: skip


def mutate(folder: Path, rng: random.Random) -> str:
    """Change one side file; says what was done."""
    files = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != "config.json")
    name = rng.choice([*files, *files, *_MORE])
    path = folder / name
    if not path.is_file():
        path.write_text(json.dumps({rng.choice(_KEYS): rng.choice(_ODD[:-5])}, default=str))
        return f"{name} made"
    content = path.read_bytes()
    if not name.endswith(".json") or rng.random() < 0.3:
        way = rng.choice(["cut", "empty", "pointer", "byte", "bom", "list"])
        position = rng.randrange(len(content) or 1)
        path.write_bytes(
            {
                "cut": content[:position],
                "empty": b"",
                "pointer": _POINTER,
                "byte": content[:position] + bytes([rng.randrange(256)]) + content[position + 1 :],
                "bom": b"\xef\xbb\xbf" + content,
                "list": b"[" + content + b"]",
            }[way]
        )
        return f"{name} {way} {position}"
    data = json.loads(content)
    what = _edit(data, rng)
    path.write_text(json.dumps(data))
    return f"{name} {what}"


def _edit(data: Any, rng: random.Random) -> str:
    """One edit somewhere in a JSON tree, near its top more often than deep in it."""
    place, route = data, []
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 5])):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        keys = [key for key in keys if isinstance(place[key], dict | list) and place[key]]
        if not keys:
            break
        route.append(rng.choice(keys))
        place = place[route[-1]]
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    way = rng.choice(["delete", "replace", "replace", "add", "swap"])
    if way == "add" or not keys:
        value = rng.choice(_ODD)
        if isinstance(place, dict):
            place[rng.choice(_KEYS)] = value
        else:
            place.append(value)
        return f"{route} add {value!r}"
    key = rng.choice(keys)
    if way == "delete":
        del place[key]
    elif way == "replace":
        place[key] = rng.choice(_ODD)
    else:
        other = rng.choice(keys)
        place[key], place[other] = place[other], place[key]
    return f"{route} {way} {key!r}"
