"""Values of a config, and names of tensors, from which no model follows, and some that say nothing to us."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from changed_folders import loaded_by_transformers, rewrite
from gguf_files import WriteGguf
from model_folders import edit_config, write_folder
from transformers import AutoConfig

from toolkit.errors import ParityFailed, SourceCorrupt, SourceError, UnsupportedModel
from toolkit.inference.original import check_reader, whole_original
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.folder_source import config_from_fields


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    write_folder(tmp_path / "m", settings)
    return tmp_path / "m"


FACTORS = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
# transformers makes no numbers of these: infinite or undefined angles, or an error in its own words.
NO_ANGLES: list[tuple[str, dict[str, Any]]] = [
    *(("rope_theta", {"rope_theta": value}) for value in (0, 0.0, -1.0, "1e4", None, True, float("nan"))),
    *(("factor", {"rope_type": "linear", "factor": value}) for value in (0, -2.0, "4", None, float("inf"))),
    *(("factor", {"rope_type": kind, "factor": 0}) for kind in ("dynamic", "yarn")),
    (
        "low_freq_factor",
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 0, "high_freq_factor": 4.0}
        | {"original_max_position_embeddings": 64},
    ),
    *(
        (name, {"rope_type": "longrope", "factor": 2.0, **FACTORS, name: value})
        for name in FACTORS
        for value in ([1.0] * 7, [0.0] * 8, [1.0] * 7 + ["x"])
    ),
]


@pytest.mark.parametrize(("name", "values"), NO_ANGLES)
def test_rotary_values_that_give_no_angles_are_named(
    name: str, values: dict[str, Any], folder: Path, settings: Settings
) -> None:
    edit_config(folder, rope_parameters={"rope_type": "default", "rope_theta": 10000.0} | values)
    with pytest.raises(SourceCorrupt, match=rf"rope_parameters\.{name} (is|has)") as caught:
        resolve(str(folder), settings)
    assert str(folder) in str(caught.value) and caught.value.next_step


# Value -> what is said, and a value that the next step leads to.
NO_MODEL: list[tuple[str, Any, str, Any]] = [
    ("hidden_act", "silly", "hidden_act is 'silly', an activation", "silu"),
    ("hidden_act", "SiLU", "hidden_act is 'SiLU', an activation", "silu"),
    ("vocab_size", 0, "vocab_size is 0", 512),
    ("num_attention_heads", 0, "num_attention_heads is 0", 4),
    ("num_attention_heads", -1, "num_attention_heads is -1", 4),
    ("num_key_value_heads", 0, "num_key_value_heads is 0", 2),
    ("intermediate_size", -1, "intermediate_size is -1", 128),
    ("head_dim", 0, "head_dim is 0", 16),
]


@pytest.mark.parametrize(("name", "value", "said", "right"), NO_MODEL)
def test_a_value_that_makes_no_model_is_named(
    name: str, value: Any, said: str, right: Any, folder: Path, settings: Settings
) -> None:
    edit_config(folder, **{name: value})
    with pytest.raises(SourceCorrupt, match=re.escape(said)) as caught:
        resolve(str(folder), settings)
    assert caught.value.subject == str(folder)
    assert name in (caught.value.next_step or "") or "embedding" in (caught.value.next_step or "")
    edit_config(folder, **{name: right})
    assert resolve(str(folder), settings).weights.names()


def test_an_activation_is_advised_that_transformers_has(folder: Path, settings: Settings) -> None:
    edit_config(folder, hidden_act="SILU")
    with pytest.raises(SourceCorrupt) as caught:
        resolve(str(folder), settings)
    assert "Did you mean 'silu'?" in (caught.value.next_step or "")


KINDS = ["sliding_attention", "full_attention"]


@pytest.mark.parametrize(
    ("fields", "built"),
    [
        ({}, "mistral"),
        ({"layer_types": KINDS}, "ministral"),
        # The key decides, whatever it holds.
        ({"layer_types": None}, "ministral"),
        ({"model_type": "qwen2", "layer_types": KINDS}, "qwen2"),
    ],
)
def test_a_folder_is_of_the_class_that_transformers_makes_of_it(
    fields: dict[str, Any], built: str, tmp_path: Path, settings: Settings
) -> None:
    folder = tmp_path / "m"
    write_folder(folder, settings, "qwen2-tiny" if built == "qwen2" else "mistral-tiny")
    edit_config(folder, sliding_window=16, **fields)
    theirs = AutoConfig.from_pretrained(folder)
    source = resolve(str(folder), settings)
    assert type(theirs) is type(source.config)
    assert source.config.model_type == built
    if built == "ministral":
        assert source.config.layer_types == theirs.layer_types
    assert whole_original(source, 1) is not None


def test_another_class_than_transformers_makes_is_no_judge(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "m"
    write_folder(folder, settings, "mistral-tiny")
    source = resolve(str(folder), settings)
    edit_config(folder, layer_types=KINDS)
    for judge in (lambda: whole_original(source, 1), lambda: check_reader(source)):
        with pytest.raises(ParityFailed, match="a MinistralConfig to transformers, and a MistralConfig"):
            judge()


def test_the_config_for_this_version_of_transformers_is_read(folder: Path, settings: Settings) -> None:
    older = json.loads((folder / "config.json").read_text())
    for version, theta in (("4.0.0", 111.0), ("99.0.0", 222.0)):
        rope = {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
        (folder / f"config.{version}.json").write_text(json.dumps(older | rope))
    edit_config(folder, configuration_files=["config.4.0.0.json", "config.99.0.0.json"])
    theirs = AutoConfig.from_pretrained(folder)
    ours = resolve(str(folder), settings).config
    assert theirs.rope_parameters["rope_theta"] == ours.rope_parameters["rope_theta"] == 111.0
    for odd in ("config.json", [1], {"a": 1}, ["config.x.json"], None):
        edit_config(folder, configuration_files=odd)
        try:
            AutoConfig.from_pretrained(folder)
        except Exception:
            with pytest.raises(SourceError) as caught:
                resolve(str(folder), settings)
            assert caught.value.subject and caught.value.next_step
        else:
            assert resolve(str(folder), settings).weights.names()


@pytest.mark.parametrize("name", ["use_return_dict", "num_labels"])
def test_what_transformers_computes_is_not_set_but_what_it_takes_is(
    name: str, folder: Path, settings: Settings
) -> None:
    edit_config(folder, **{name: 3})
    if name == "num_labels":
        assert resolve(str(folder), settings).weights.names()
        return
    with pytest.raises(AttributeError, match="has no setter"):
        loaded_by_transformers(folder)
    with pytest.raises(SourceCorrupt, match=f"sets {name}, which transformers computes") as caught:
        resolve(str(folder), settings)
    assert caught.value.next_step == f"Remove {name} from config.json."


@pytest.mark.parametrize("name", ["attn_logit_softcapping", "final_logit_softcapping"])
@pytest.mark.parametrize("cap", [0.0, -30.0, float("inf"), float("nan")])
def test_a_soft_cap_is_a_number_above_0_or_null(name: str, cap: float, tmp_path: Path) -> None:
    fields = {"model_type": "gemma2", "hidden_size": 64, "num_hidden_layers": 1, name: cap}
    with pytest.raises(SourceCorrupt, match=f"{name} is .*no number above 0"):
        config_from_fields(fields, tmp_path)
    for taken in (30.0, None):
        assert getattr(config_from_fields(fields | {name: taken}, tmp_path), name) == taken


@pytest.mark.parametrize(
    "values",
    [
        {"rope_theta": 10000},
        {"rope_type": "linear", "factor": 0.5},
        {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 64},
        {"rope_type": "longrope", "factor": 2.0, **FACTORS},
    ],
)
def test_rotary_values_that_transformers_computes_with_are_taken(
    values: dict[str, Any], folder: Path, settings: Settings
) -> None:
    edit_config(folder, rope_parameters={"rope_type": "default", "rope_theta": 10000.0} | values)
    assert resolve(str(folder), settings).config.rope_parameters["rope_type"] == values.get(
        "rope_type", "default"
    )
    assert loaded_by_transformers(folder)


@pytest.mark.parametrize("kind", ["ntk-aware", "su", "LINEAR", "mrope", None])
def test_a_type_of_rotary_scaling_that_transformers_does_not_know_is_named(
    kind: Any, folder: Path, settings: Settings
) -> None:
    edit_config(folder, rope_parameters={"rope_type": kind, "rope_theta": 10000.0, "factor": 2.0})
    with pytest.raises(
        UnsupportedModel, match=rf"rope_type is {kind!r}, not one of default, linear"
    ) as caught:
        resolve(str(folder), settings)
    assert str(folder) in str(caught.value)
    edit_config(folder, rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0})
    assert resolve(str(folder), settings).config.rope_parameters["rope_type"] == "linear"


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), True, "10000"])
def test_a_gguf_files_base_must_be_a_number_above_0(
    value: Any, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata={"llama.rope.freq_base": value})
    with pytest.raises(SourceCorrupt, match=r"llama\.rope\.freq_base is") as caught:
        resolve(str(path), settings)
    assert caught.value.subject == str(path)


def test_yarn_without_an_original_context_takes_the_context(
    write_gguf: WriteGguf, settings: Settings
) -> None:
    # llama.cpp: n_ctx_orig_yarn is n_ctx_train until the key says another.
    scaling = {
        "llama.rope.scaling.type": "yarn",
        "llama.rope.scaling.factor": 4.0,
        "llama.context_length": 96,
    }
    path = write_gguf("llama-tiny", metadata=scaling)
    assert resolve(str(path), settings).config.rope_parameters["original_max_position_embeddings"] == 96


@pytest.mark.parametrize("key", ["torch_dtype", "dtype"])
@pytest.mark.parametrize(
    "dtype", [{"": "float32"}, ["float16"], 16, "float8_e4m3fn", "auto", "bf16", "torch.bfloat16", None]
)
def test_what_type_the_weights_once_had_decides_nothing(
    key: str, dtype: Any, folder: Path, settings: Settings
) -> None:
    edit_config(folder, dtype=None)
    expected = resolve(str(folder), settings)
    edit_config(folder, **{key: dtype})
    source = resolve(str(folder), settings)
    name = source.weights.names()[0]
    assert torch.equal(source.weights.read(name), expected.weights.read(name))


@pytest.mark.parametrize(
    ("part", "put"),
    [
        ("module.", lambda name: f"module.{name}"),
        ("_checkpoint_wrapped_module.", lambda name: name.replace("mlp.", "_checkpoint_wrapped_module.mlp.")),
        ("_orig_mod.", lambda name: f"_orig_mod.{name}"),
        ("_orig_mod.", lambda name: name.replace("layers.0.", "layers.0._orig_mod.")),
        ("_fsdp_wrapped_module.", lambda name: name.replace("model.", "model._fsdp_wrapped_module.", 1)),
        ("transformer.", lambda name: f"transformer.{name}"),
        ("student.", lambda name: f"student.{name}"),
    ],
)
@pytest.mark.parametrize("tied", [False, True])
def test_what_a_training_puts_into_names_is_said_and_taken_out(
    part: str, put: Any, tied: bool, folder: Path, settings: Settings
) -> None:
    if tied:
        edit_config(folder, tie_word_embeddings=True)
        rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if k != "lm_head.weight"})
    rewrite(folder, lambda tensors: {put(name): values for name, values in tensors.items()})
    with pytest.raises(SourceError, match=re.escape(repr(part))) as caught:
        resolve(str(folder), settings)
    step = caught.value.next_step or ""
    assert f'name.replace("{part}", "")' in step
    rewrite(folder, lambda tensors: {name.replace(part, ""): values for name, values in tensors.items()})
    assert resolve(str(folder), settings).weights.names()


def test_a_config_is_utf8_whatever_the_locale_is(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace("{", '{"author": "Ren\u00e9",', 1), encoding="utf-8")
    code = (
        "import sys, pathlib; from toolkit.sources.folder_source import config_fields;"
        "print(ascii(config_fields(pathlib.Path(sys.argv[1]))['author']))"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    read = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=os.environ | plain, capture_output=True, text=True
    )
    assert read.stdout.strip() == ascii("Ren\u00e9"), read.stderr
