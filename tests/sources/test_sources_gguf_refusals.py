"""GGUF files that are damaged, are no language model or say what is not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_files import WriteGguf

from toolkit.errors import MissingWeights, SourceCorrupt, SourceError, SourceNotFound, UnsupportedModel
from toolkit.settings import Settings
from toolkit.sources import resolve


def test_missing_tensor_is_named(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", skip=("blk.1.ffn_up.weight",))
    with pytest.raises(MissingWeights, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        resolve(str(path), settings)


def test_shape_that_contradicts_the_metadata_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", metadata={"llama.feed_forward_length": 96})
    with pytest.raises(SourceCorrupt, match="has shape"):
        resolve(str(path), settings)


def test_unknown_architecture_is_named(tmp_path: Path, settings: Settings) -> None:
    import gguf

    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(path, "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedModel, match="mamba"):
        resolve(str(path), settings)


def test_metadata_that_is_missing_is_named(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("qwen2-tiny", metadata={"qwen2.context_length": None})
    with pytest.raises(SourceCorrupt, match=r"qwen2\.context_length"):
        resolve(str(path), settings)


def test_a_part_that_is_not_named_as_one_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", metadata={"split.count": 3})
    with pytest.raises(MissingWeights, match="one of 3 parts") as caught:
        resolve(str(path), settings)
    assert caught.value.next_step and "-00001-of-00003.gguf" in caught.value.next_step


def test_rotary_scaling_that_is_not_llama3_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", tensors={"rope_freqs.weight": np.linspace(1, 3, 8, dtype=np.float32)})
    with pytest.raises(SourceError, match="rotary scaling"):
        resolve(str(path), settings)


@pytest.mark.parametrize("scaling", [{}, {"rope.scaling.type": "longrope", "rope.scaling.factor": 2.0}])
def test_long_rotary_factors_that_llama_cpp_would_apply_otherwise_are_refused(
    scaling: dict[str, Any], write_gguf: WriteGguf, settings: Settings
) -> None:
    factors = np.full(8, 4, np.float32)
    path = write_gguf(
        "llama-tiny",
        metadata={f"llama.{key}": value for key, value in scaling.items()},
        tensors={"rope_factors_long.weight": factors, "rope_factors_short.weight": factors},
    )
    with pytest.raises(SourceError, match="rope_factors_long|'longrope' by 2"):
        resolve(str(path), settings)


FOREIGN = [
    "blk.0.attn_output.bias",
    "blk.0.attn_v.bias",
    "blk.1.ffn_down.bias",
    "output.bias",
    "blk.0.attn_q_norm.weight",
    "blk.2.attn_q.weight",
    "some.other",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_tensor_that_is_not_read_is_refused(name: str, write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", tensors={name: np.ones(64, np.float32)})
    with pytest.raises(SourceError, match=rf"belong to no part.*{name}") as caught:
        resolve(str(path), settings)
    assert caught.value.subject and caught.value.next_step


UNREAD = {
    "rope.scaling.attn_factor": 2.0,
    "rope.scaling.yarn_beta_fast": 8.0,
    "attention.scale": 0.5,
    "logit_scale": 0.25,
    "embedding_scale": 3.0,
    "residual_scale": 0.3,
    "attn_logit_softcapping": 30.0,
    "attention.clamp_kqv": 8.0,
    "something.new": 7,
}
# Their defaults in llama.cpp's hparams are 1, 32, 1 and true: zero says something.
UNREAD_ZEROS = ("rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow")


@pytest.mark.parametrize("key", UNREAD_ZEROS)
def test_a_zero_is_not_taken_for_nothing_where_the_default_is_another(
    key: str, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": 0.0})
    with pytest.raises(SourceError, match=rf"llama\.{key} is 0"):
        resolve(str(path), settings)


def test_attention_that_is_not_causal_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", metadata={"llama.attention.causal": False})
    with pytest.raises(SourceError, match=r"llama\.attention\.causal is False"):
        resolve(str(path), settings)
    path = write_gguf("llama-tiny", metadata={"llama.attention.causal": True})
    assert resolve(str(path), settings).config.model_type == "llama"


@pytest.mark.parametrize("key", UNREAD)
def test_a_key_that_may_change_the_result_is_refused(
    key: str, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": UNREAD[key]})
    with pytest.raises(SourceError, match=rf"llama\.{key}"):
        resolve(str(path), settings)


def test_keys_that_change_nothing_are_accepted(write_gguf: WriteGguf, settings: Settings) -> None:
    neutral = {"rope.scaling.attn_factor": 1.0, "attention.scale": 0.0, "logit_scale": 1.0, "expert_count": 0}
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": value for key, value in neutral.items()})
    assert resolve(str(path), settings).config.rope_parameters["rope_type"] == "default"


@pytest.mark.parametrize(
    ("architecture", "metadata", "match"),
    [
        ("llama", {"general.type": "adapter", "adapter.type": "lora"}, "is an adapter"),
        ("clip", {"general.type": "mmproj"}, "projector"),
        ("llama", {"general.type": "imatrix"}, "'imatrix'"),
        ("llama", {"llama.expert_count": 8}, "mixture of 8 experts"),
    ],
)
def test_files_that_are_no_dense_language_model_say_what_they_are(
    architecture: str, metadata: dict[str, Any], match: str, tmp_path: Path, settings: Settings
) -> None:
    import gguf

    path = tmp_path / "other.GGUF"
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises((SourceError, UnsupportedModel), match=match) as caught:
        resolve(str(path), settings)
    assert caught.value.subject and caught.value.next_step


def test_a_folder_of_gguf_files_says_to_name_one(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny")
    with pytest.raises(SourceNotFound, match="but a GGUF file") as raised:
        resolve(str(path.parent), settings)
    assert raised.value.next_step == f"Give the path of {path.name}."
    assert resolve(str(path), settings).config.model_type == "llama"
