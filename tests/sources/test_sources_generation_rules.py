"""What generate() would do otherwise is said when a model is converted, and only then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from model_folders import edit_config, write_folder

from toolkit.chat.request import GenerateRequest
from toolkit.errors import SourceCorrupt, UsageError
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.generation import generation_fields
from toolkit.sources.generation_rules import _NEUTRAL, _OTHER_SAMPLING, not_applied
from toolkit.sources.sampling import sampling_options

PROMPT, TOKENS = [3, 4, 5], 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoModelForCausalLM

    cache = tmp_path_factory.mktemp("generation")
    write_folder(cache / "m", Settings(cache / "cache", cache / "data", "sqlite://"))
    return AutoModelForCausalLM.from_pretrained(cache / "m", dtype=torch.float32).eval()


def generated(model: Any, **fields: Any) -> list[int]:
    from transformers import GenerationConfig

    told = GenerationConfig(**{"max_new_tokens": TOKENS, "pad_token_id": 0, "eos_token_id": None} | fields)
    ids: list[int] = model.generate(torch.tensor([PROMPT]), generation_config=told)[0, len(PROMPT) :].tolist()
    return ids


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"repetition_penalty": 1.0}, False),
        ({"repetition_penalty": 0.01}, True),
        ({"no_repeat_ngram_size": 0}, False),
        ({"suppress_tokens": "FIRST"}, True),
        ({"begin_suppress_tokens": "FIRST"}, True),
        ({"bad_words_ids": ["FIRST"]}, True),
        ({"forced_eos_token_id": 9}, True),
        ({"max_new_tokens": 3}, True),
        ({"sequence_bias": [[[9], 100.0]]}, True),
        ({"num_beams": 1, "min_length": 0, "temperature": 0.1, "top_k": 5, "use_cache": True}, False),
    ],
)
def test_what_changes_greedy_texts_of_transformers_is_said(
    fields: dict[str, Any], changes: bool, model: Any
) -> None:
    greedy = generated(model)
    first = json.loads(json.dumps(fields).replace('"FIRST"', f"[{greedy[0]}]"))
    assert (generated(model, **first) != greedy) is changes
    said = not_applied(first)
    assert (said is not None) is changes
    if said is not None:
        assert next(iter(fields)) in said


def test_every_field_is_one_of_transformers() -> None:
    from transformers import GenerationConfig

    known = vars(GenerationConfig())
    # Fields that transformers dropped stay in older files, and change nothing today.
    assert {name for name in {*_NEUTRAL, *_OTHER_SAMPLING} if name not in known} <= {
        "penalty_alpha",
        "dola_layers",
    }


def test_sampling_is_said_with_the_options_that_do_it() -> None:
    qwen = {"do_sample": True, "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20}
    said = not_applied(qwen)
    assert said is not None and "repetition_penalty 1.05" in said
    assert "--temperature 0.7 --top-k 20 --top-p 0.8" in said
    # transformers' own values hold where the file says none.
    assert "--temperature 1.0 --top-k 50 --top-p 1.0" in str(not_applied({"do_sample": True}))


@pytest.mark.parametrize("temperature", [0, 0.001, 1.5, 100.0, 101.0, -1.0, "hot", float("nan")])
@pytest.mark.parametrize("top_k", [0, 40, -1, 2.5])
@pytest.mark.parametrize("top_p", [0.01, 1, 0.95, 1.5, 0.0])
def test_options_that_are_advised_are_accepted(temperature: object, top_k: object, top_p: object) -> None:
    asked = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    options, beyond = sampling_options(asked)
    words = options.split()
    flags, values = words[::2], words[1::2]
    taken = {flag[2:].replace("-", "_"): json.loads(value) for flag, value in zip(flags, values, strict=True)}
    assert taken.keys() | set(beyond) == asked.keys() and not taken.keys() & set(beyond)
    GenerateRequest(**taken)
    for name in beyond:
        with pytest.raises(UsageError):
            GenerateRequest(**{name: asked[name]})


def test_what_no_option_takes_is_said_as_not_applied() -> None:
    said = str(not_applied({"do_sample": True, "top_p": 1.5, "top_k": None, "temperature": 0.7}))
    assert "asks for top_p 1.5, which is not applied" in said
    assert said.endswith("slm generate and slm chat do with --temperature 0.7")


def test_a_conversion_says_it(tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "m", settings)
    file = tmp_path / "m" / "generation_config.json"
    fields = json.loads(file.read_text())
    written = tmp_path / "written"
    for more, said in (({}, False), ({"repetition_penalty": 1.3}, True)):
        file.write_text(json.dumps(fields | more))
        written.mkdir(exist_ok=True)
        resolve(str(tmp_path / "m"), settings).write_tokenizer(written)
        assert ("asks for repetition_penalty 1.3" in capsys.readouterr().err) is said
        # The file is kept as it came.
        assert json.loads((written / file.name).read_text()).get("repetition_penalty") == more.get(
            "repetition_penalty"
        )


def test_what_config_json_asks_for_is_said_where_transformers_takes_it_from_there(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM

    folder, written = tmp_path / "m", tmp_path / "written"
    write_folder(folder, settings)
    written.mkdir()
    edit_config(folder, repetition_penalty=1.3)
    for beside in (True, False):
        if not beside:
            (folder / "generation_config.json").unlink()
        theirs = AutoModelForCausalLM.from_pretrained(folder).generation_config.repetition_penalty
        assert (theirs == 1.3) is not beside
        capsys.readouterr()
        resolve(str(folder), settings).write_tokenizer(written)
        assert ("config.json asks for repetition_penalty 1.3" in capsys.readouterr().err) is not beside


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"eos_token_id": 7, "bos_token_id": 3},
        {"eos_token_id": [7, 8]},
        {"text_config": {"eos_token_id": 9}},
        {"eos_token_id": None, "text_config": {"eos_token_id": 9}},
        {"eos_token_id": 7, "text_config": {"eos_token_id": 9}},
    ],
)
def test_tokens_of_config_json_are_those_of_transformers(said: dict[str, Any]) -> None:
    from transformers import GenerationConfig

    theirs, ours = GenerationConfig.from_model_config(dict(said)), generation_fields(said)
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert ours.get(key) == getattr(theirs, key)


def test_tokens_that_only_a_models_class_has_end_no_text(tmp_path: Path, settings: Settings) -> None:
    from transformers import AutoModelForCausalLM

    folder, written = tmp_path / "m", tmp_path / "written"
    write_folder(folder, settings)
    written.mkdir()
    (folder / "generation_config.json").unlink()
    fields = json.loads((folder / "config.json").read_text())
    del fields["eos_token_id"]
    (folder / "config.json").write_text(json.dumps(fields))
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert (theirs.config.eos_token_id, theirs.generation_config.eos_token_id) == (2, None)
    resolve(str(folder), settings).write_tokenizer(written)
    assert json.loads((written / "generation_config.json").read_text())["eos_token_id"] is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_what_json_has_not_is_refused(value: Any, tmp_path: Path, settings: Settings) -> None:
    write_folder(tmp_path / "m", settings)
    file = tmp_path / "m" / "generation_config.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps(fields | {"temperature": value}))
    (tmp_path / "written").mkdir()
    with pytest.raises(SourceCorrupt, match="temperature is .*no number in JSON") as caught:
        resolve(str(tmp_path / "m"), settings).write_tokenizer(tmp_path / "written")
    assert caught.value.subject == str(file) and "leave temperature out" in str(caught.value.next_step)
    file.write_text(json.dumps(fields))
    resolve(str(tmp_path / "m"), settings).write_tokenizer(tmp_path / "written")
