"""What a refusal of a conversion advises is done, and the conversion is accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import pytest
import torch
from gguf_files import write_model
from model_folders import edit_config, write_folder
from safetensors.torch import load_file, save_file

import toolkit
from toolkit.errors import (
    ArtifactExists,
    BadGroupSize,
    CompressError,
    ContextTooLong,
    SourceCorrupt,
    SourceError,
    SourceNotFound,
    ToolkitError,
    UnknownScheme,
    UnsupportedModel,
    UntrustedSource,
    UsageError,
)
from toolkit.settings import Settings
from toolkit.sources import resolve

LONG_TEXT = "The river had risen in the night. " * 400


class Asked:
    """A conversion of a folder, as a user asks for it and changes it."""

    def __init__(self, place: Path, settings: Settings) -> None:
        self.place, self.settings = place, settings
        self.folder = place / "model"
        self.output = place / "out" / "a"
        self.model = str(self.folder)
        self.options: dict[str, object] = {"quant": "fp32", "parity_check": False}
        self.force = False
        self.origin: dict[str, bytes] = {}

    def convert(self) -> None:
        toolkit.convert(self.model, self.output, force=self.force, settings=self.settings, **self.options)

    def damage(self, name: str, content: bytes) -> None:
        """Put something else in a file's place; :meth:`restore` gets it again."""
        path = self.folder / name
        self.origin[name] = path.read_bytes() if path.is_file() else b""
        path.write_bytes(content)

    def restore(self) -> None:
        for name, content in self.origin.items():
            (self.folder / name).write_bytes(content)

    def number(self, advice: str, option: str) -> int:
        """The number that is advised for an option."""
        found = re.search(rf"--{option} (\d+)", advice)
        assert found, advice
        return int(found[1])


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal.

    Attributes:
        cause: asks for it.
        error: what is raised.
        follow: does what the next step says, given its text.
    """

    cause: Callable[[Asked], object]
    error: type[ToolkitError]
    follow: Callable[[Asked, str], object]


def option(**options: object) -> Callable[[Asked], object]:
    return lambda asked: asked.options.update(options)


def leave_out(word: str, *names: str) -> Callable[[Asked, str], object]:
    def follow(asked: Asked, advice: str) -> None:
        assert word in advice
        for name in names:
            del asked.options[name]

    return follow


def damaged(name: str, content: bytes) -> Callable[[Asked], object]:
    return lambda asked: asked.damage(name, content)


def get_again(word: str = "again") -> Callable[[Asked, str], object]:
    def follow(asked: Asked, advice: str) -> None:
        assert word in advice
        asked.restore()

    return follow


def first_name(pattern: str, name: str) -> Callable[[Asked, str], object]:
    """Takes the first value that is listed for an option."""

    def follow(asked: Asked, advice: str) -> None:
        found = re.search(pattern, advice)
        assert found, advice
        value = found[1]
        asked.options[name] = int(value) if value.isdigit() else value

    return follow


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


def in_the_way(asked: Asked) -> None:
    asked.convert()


def not_an_artifact(asked: Asked) -> None:
    asked.output.mkdir(parents=True)
    (asked.output / "notes.txt").touch()


def elsewhere(asked: Asked, advice: str) -> None:
    assert "nother folder" in advice
    asked.output = asked.place / "out" / "b"


def with_force(asked: Asked, advice: str) -> None:
    assert "--force" in advice
    asked.force = True


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


def calibration(text: str | None) -> Callable[[Asked], object]:
    def cause(asked: Asked) -> None:
        file = asked.place / "text.txt"
        if text is not None:
            file.write_text(text)
        asked.options |= {"quant": "4w", "algorithm": "gptq", "calibration": file}

    return cause


def tokens_of_another_model(asked: Asked) -> None:
    """A tokenizer whose every token lies beyond the model's 512."""
    fields = json.loads((asked.folder / "tokenizer.json").read_text())
    model = fields["model"]
    fields["added_tokens"] = []
    fields["post_processor"] = None
    model["vocab"] = {token: 512 + index for index, token in enumerate(model["vocab"])}
    asked.damage("tokenizer.json", json.dumps(fields).encode())
    asked.damage("generation_config.json", b"{}")


def a_picture_in_the_calibration(asked: Asked) -> None:
    """A tokenizer that has one token more than the model, and a text with it."""
    fields = json.loads((asked.folder / "tokenizer.json").read_text())
    more = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    fields["model"]["vocab"]["<picture>"] = 600
    fields["added_tokens"].append({"id": 600, "content": "<picture>", "special": True, **more})
    asked.damage("tokenizer.json", json.dumps(fields).encode())
    calibration(f"<picture>{LONG_TEXT}")(asked)


REFUSALS = {
    "a context beyond the model's": Refusal(
        option(context=10**6),
        ContextTooLong,
        lambda asked, advice: asked.options.update(context=asked.number(advice, "context")),
    ),
    "a context of nothing": Refusal(
        option(context=0), UsageError, leave_out("leave it out", "context")
    ),
    "an opset of long ago": Refusal(
        option(opset=5),
        UsageError,
        lambda asked, advice: asked.options.update(opset=asked.number(advice, "opset")),
    ),
    "an opset of the future": Refusal(
        option(opset=99),
        UsageError,
        lambda asked, advice: asked.options.update(opset=asked.number(advice, "opset")),
    ),
    "an opset for ExecuTorch": Refusal(
        option(opset=20, backend="executorch"), UsageError, leave_out("Leave out --opset", "opset")
    ),
    "an unknown scheme": Refusal(
        option(quant="8da9w"), UnknownScheme, first_name(r"Did you mean '(\w+)'", "quant")
    ),
    "a scheme that the engine lacks": Refusal(
        option(quant="fp16", backend="executorch"),
        UnknownScheme,
        first_name(r"Linears can be (\w+)", "quant"),
    ),
    "a group size that nobody has": Refusal(
        option(quant="8da4w", group_size=48), BadGroupSize, first_name(r"(\d+)", "group_size")
    ),
    "a group size that does not divide": Refusal(
        option(quant="8da4w", group_size=256), BadGroupSize, first_name(r"(\d+)", "group_size")
    ),
    "a calibration that nobody uses": Refusal(
        lambda asked: (calibration(LONG_TEXT)(asked), asked.options.update(algorithm="hqq")),
        UsageError,
        leave_out("Leave out --calibration", "calibration"),
    ),
    "a calibration that is not there": Refusal(
        calibration(None), UsageError, leave_out("leave the option out", "calibration")
    ),
    "a calibration that is too short": Refusal(
        calibration("short"), UsageError, leave_out("leave the option out", "calibration")
    ),
    "a revision of a folder": Refusal(
        option(revision="main"), UsageError, leave_out("Leave out --revision", "revision")
    ),
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
    "an artifact in the way": Refusal(in_the_way, ArtifactExists, with_force),
    "something else in the way": Refusal(not_an_artifact, ArtifactExists, elsewhere),
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
    "a calibration with tokens that the model lacks": Refusal(
        a_picture_in_the_calibration, UsageError, leave_out("leave the option out", "calibration")
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
    refusal = REFUSALS[name]
    asked = Asked(tmp_path, settings)
    write_folder(asked.folder, settings, "llama-tiny")
    refusal.cause(asked)
    before = sorted(asked.output.parent.glob("*"))
    with pytest.raises(refusal.error) as caught:
        asked.convert()
    assert sorted(asked.output.parent.glob("*")) == before, "something is left behind"
    error = caught.value
    assert error.what and error.next_step
    assert error.subject or "--" in error.what or isinstance(error, UsageError | CompressError)
    refusal.follow(asked, error.next_step)
    asked.convert()
