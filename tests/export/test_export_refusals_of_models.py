"""What is no whole model is refused; what is advised is done, and the conversion is accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch
from gguf_files import write_model
from model_folders import edit_config
from refused_conversions import Asked, Refusal, damaged, follow_the_advice, get_again
from safetensors.torch import load_file, save_file

from toolkit.errors import (
    CompressError,
    SourceCorrupt,
    SourceError,
    SourceNotFound,
    UnsupportedModel,
    UntrustedSource,
)
from toolkit.settings import Settings
from toolkit.sources import resolve


def pickled(asked: Asked) -> None:
    file = asked.folder / "model.safetensors"
    torch.save(load_file(file), asked.folder / "pytorch_model.bin")
    file.unlink()


def own_code(asked: Asked) -> None:
    """Random weights of a config whose model type is in the code beside it only."""
    edit_config(
        asked.folder,
        model_type="own_llama",
        auto_map={
            "AutoConfig": "configuration_own.OwnConfig",
            "AutoModelForCausalLM": "modeling_own.OwnForCausalLM",
        },
    )
    (asked.folder / "configuration_own.py").write_text(
        "from transformers import LlamaConfig\n\n\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own_llama'\n"
    )
    (asked.folder / "modeling_own.py").write_text(
        "from transformers import LlamaForCausalLM\nfrom .configuration_own import OwnConfig\n\n\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    asked.model = f"random:{asked.folder / 'config.json'}"


def weights_named(asked: Asked) -> None:
    edit_config(asked.folder, transformers_weights="other.safetensors")


def unnamed(asked: Asked, advice: str) -> None:
    assert "remove transformers_weights" in advice
    fields = json.loads((asked.folder / "config.json").read_text())
    del fields["transformers_weights"]
    (asked.folder / "config.json").write_text(json.dumps(fields))


def index_without_metadata(asked: Asked) -> None:
    file = asked.folder / "model.safetensors"
    names = list(load_file(file))
    file.rename(asked.folder / "model-1.safetensors")
    index = {"weight_map": dict.fromkeys(names, "model-1.safetensors")}
    (asked.folder / "model.safetensors.index.json").write_text(json.dumps(index))


def metadata_added(asked: Asked, advice: str) -> None:
    assert '"metadata": {}' in advice
    file = asked.folder / "model.safetensors.index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"metadata": {}}))


def only_a_gguf(asked: Asked) -> None:
    source = resolve("random:llama-tiny", asked.settings)
    (asked.folder / "model.safetensors").unlink()
    no_vocabulary = {"tokenizer.ggml.tokens": None, "tokenizer.ggml.model": None}
    write_model(asked.folder / "tiny.gguf", source, "llama", metadata=no_vocabulary)


def gguf_given(asked: Asked, advice: str) -> None:
    found = re.search(r"(\S+\.gguf)", advice)
    assert found
    asked.model = str(asked.folder / found[1])


def unreadable_gguf(architecture: str, pre: str) -> Callable[[Asked], object]:
    def cause(asked: Asked) -> None:
        source = resolve("random:llama-tiny", asked.settings)
        file = asked.place / "m.gguf"
        write_model(file, source, "llama", metadata={"tokenizer.ggml.pre": pre, "tokenizer.ggml.merges": []})
        if architecture != "llama":
            writer = gguf.GGUFWriter(file, architecture)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.close()
        asked.model = str(file)

    return cause


def folder_given(asked: Asked, advice: str) -> None:
    assert "safetensors folder" in advice
    asked.model = str(asked.folder)


def quantized_weights(asked: Asked) -> None:
    asked.damage("model.safetensors", b"")
    save_file(
        {
            name: values.to(torch.float8_e4m3fn) if name.endswith("proj.weight") else values
            for name, values in _tensors(asked).items()
        },
        asked.folder / "model.safetensors",
        metadata={"format": "pt"},
    )


def beyond_half_precision(asked: Asked) -> None:
    scaled = {"up_proj": 1e6, "down_proj": 1e-6}
    file = asked.folder / "model.safetensors"
    tensors = {
        name: values * next((by for part, by in scaled.items() if part in name), 1)
        for name, values in load_file(file).items()
    }
    save_file(tensors, file, metadata={"format": "pt"})
    asked.options["quant"] = "fp16"


def no_number(asked: Asked) -> None:
    """One row of the embedding, which hardly any text meets."""
    asked.damage("model.safetensors", b"")
    tensors = _tensors(asked)
    tensors["model.embed_tokens.weight"][500] = float("nan")
    save_file(tensors, asked.folder / "model.safetensors", metadata={"format": "pt"})


def _tensors(asked: Asked) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return load(asked.origin["model.safetensors"])


def tokens_of_another_model(asked: Asked) -> None:
    """A tokenizer whose every token lies beyond the model's 512."""
    fields = json.loads((asked.folder / "tokenizer.json").read_text())
    model = fields["model"]
    fields["added_tokens"] = []
    fields["post_processor"] = None
    model["vocab"] = {token: 512 + index for index, token in enumerate(model["vocab"])}
    asked.damage("tokenizer.json", json.dumps(fields).encode())
    asked.damage("generation_config.json", b"{}")


REFUSALS = {
    "pickled weights": Refusal(
        pickled,
        UntrustedSource,
        lambda asked, advice: (
            asked.options.update(trust_remote_code="--trust-remote-code" in advice)
        ),
    ),
    "a config that needs the code beside it": Refusal(
        own_code,
        UntrustedSource,
        lambda asked, advice: (
            asked.options.update(trust_remote_code="--trust-remote-code" in advice)
        ),
    ),
    "a weight file that is not there": Refusal(weights_named, SourceError, unnamed),
    "an index without metadata": Refusal(index_without_metadata, SourceCorrupt, metadata_added),
    "a GGUF file in a folder": Refusal(only_a_gguf, SourceNotFound, gguf_given),
    "a GGUF architecture that is not read": Refusal(
        unreadable_gguf("bert", "gpt-2"), UnsupportedModel, folder_given
    ),
    "a GGUF file cut as nobody knows": Refusal(unreadable_gguf("llama", "new"), SourceError, folder_given),
    "weights in 8 bits": Refusal(quantized_weights, SourceError, get_again("original model")),
    "weights beyond half precision": Refusal(
        beyond_half_precision,
        CompressError,
        lambda asked, advice: asked.options.update(quant="fp32" if "--quant fp32" in advice else ""),
    ),
    "a token that is no number": Refusal(no_number, CompressError, get_again("get it again")),
    "tokens of another model": Refusal(tokens_of_another_model, SourceError, get_again("tokenizer files")),
    "tokens of another model, compared": Refusal(
        lambda asked: (tokens_of_another_model(asked), asked.options.update(parity_check=True)),
        SourceError,
        get_again("tokenizer files"),
    ),
    "a cut config": Refusal(damaged("config.json", b'{"a'), SourceCorrupt, get_again()),
    "a config of another kind": Refusal(damaged("config.json", b"[]"), SourceCorrupt, get_again()),
    "a config of wrong types": Refusal(
        damaged("config.json", b'{"model_type": "llama", "hidden_size": "many"}'), SourceCorrupt, get_again()
    ),
    "cut weights": Refusal(damaged("model.safetensors", b"\x08"), SourceCorrupt, get_again()),
    "a cut tokenizer": Refusal(damaged("tokenizer.json", b'{"model": '), SourceCorrupt, get_again()),
    "an end of text that is no id": Refusal(
        damaged("generation_config.json", b'{"eos_token_id": 1.5}'),
        SourceCorrupt,
        get_again("original model"),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_advised_is_accepted(name: str, settings: Settings, tmp_path: Path) -> None:
    follow_the_advice(REFUSALS[name], Asked(tmp_path, settings))
