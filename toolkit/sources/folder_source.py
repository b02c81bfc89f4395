"""A local folder in Hugging Face's layout as a model source; hub snapshots are opened here as well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.artifact import SourceInfo
from toolkit.errors import SourceCorrupt, SourceError, SourceNotFound, UnsupportedModel, UntrustedSource
from toolkit.settings import Settings
from toolkit.sources.base import ModelSource, TokenizerFiles, WeightReader
from toolkit.sources.checksums import weight_file_entries
from toolkit.sources.naming import safe_name
from toolkit.sources.parameters import check_complete, expected_parameters
from toolkit.sources.pickle_weights import PickleWeights, pickle_files
from toolkit.sources.safetensors_weights import SafetensorsWeights, safetensors_files

if TYPE_CHECKING:
    from transformers import PretrainedConfig

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
TRUST = "Pass --trust-remote-code if you trust whoever published it."


def from_folder(
    folder: Path,
    settings: Settings,
    *,
    name: str | None = None,
    hub_id: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> ModelSource:
    """Open a folder with config.json and weights.

    Args:
        folder: the folder.
        settings: hashes are cached in its cache_dir.
        name: the model's name; otherwise the folder's.
        hub_id: set when the folder is a snapshot of a hub repository.
        revision: the snapshot's commit.
        trust_remote_code: allow pickled weights and model code that comes with the folder.

    Raises:
        SourceNotFound: no config.json or no weights.
        SourceCorrupt: config or weights are damaged or do not belong together.
        MissingWeights: tensors or weight files are missing.
        UntrustedSource: pickled weights or remote code, without trust.
        UnsupportedModel: transformers does not know the model type.
    """
    config = read_folder_config(folder, trust_remote_code=trust_remote_code)
    files = safetensors_files(folder)
    pickled = [] if files else pickle_files(folder)
    if pickled and not trust_remote_code:
        raise UntrustedSource(
            f"only pickled weights ({pickled[0].name}), which can run code when loaded",
            subject=str(folder),
            next_step=TRUST,
        )
    if not files and not pickled:
        raise SourceNotFound(
            "no *.safetensors in the folder",
            subject=str(folder),
            next_step="Give a folder that holds config.json and model.safetensors, or a .gguf file.",
        )
    expected = expected_parameters(config, subject=str(folder), trust_remote_code=trust_remote_code)
    weights: WeightReader = (SafetensorsWeights if files else PickleWeights)(files or pickled, list(expected))
    check_complete(expected, {name: weights.shape(name) for name in weights.names()}, subject=str(folder))
    info = SourceInfo(
        kind="hub" if hub_id else "folder",
        id=hub_id or folder.name,
        revision=revision,
        files=weight_file_entries(files or pickled, folder, settings.cache_dir),
    )
    return ModelSource(
        name or safe_name(folder.resolve().name), info, config, weights, FolderTokenizer(folder)
    )


def read_folder_config(folder: Path, *, trust_remote_code: bool) -> PretrainedConfig:
    """The text decoder's config from ``config.json``."""
    fields = _config_fields(folder / "config.json")
    return config_from_fields(fields, folder, trust_remote_code=trust_remote_code)


def config_from_fields(
    fields: Mapping[str, Any], origin: Path, *, trust_remote_code: bool = False
) -> PretrainedConfig:
    """Build the text decoder's config and drop what describes the checkpoint instead of the model.

    Args:
        fields: content of config.json.
        origin: the folder or file it came from.
        trust_remote_code: allow a config class that comes with the folder.
    """
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = fields.get("model_type")
    known = isinstance(model_type, str) and model_type in CONFIG_MAPPING
    if not known and "auto_map" in fields and not trust_remote_code:
        raise UntrustedSource(
            f"model type {model_type!r} needs Python code that comes with the model",
            subject=str(origin),
            next_step=TRUST,
        )
    _refuse_quantized(fields, origin)
    if known:
        given = {key: value for key, value in fields.items() if key not in ("model_type", "auto_map")}
        config = _build(lambda: AutoConfig.for_model(model_type, **given), origin)
    elif "auto_map" in fields:
        config = _build(lambda: AutoConfig.from_pretrained(origin, trust_remote_code=True), origin)
    else:
        raise UnsupportedModel(
            f"transformers does not know the model type {model_type!r}",
            subject=str(origin),
            next_step="Check model_type in config.json, or install a newer transformers.",
        )
    return config.get_text_config(decoder=True)


def _build(make: Any, origin: Path) -> Any:
    from huggingface_hub.errors import StrictDataclassError

    try:
        return make()
    except (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceCorrupt(
            f"config.json does not make a valid config: {str(error).splitlines()[0]}", subject=str(origin)
        ) from error


def _config_fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFound(
            "no config.json in the folder",
            subject=str(path.parent),
            next_step="Give a folder that holds config.json and model.safetensors.",
        ) from None
    except (OSError, ValueError) as error:
        raise SourceCorrupt(f"cannot be read: {error}", subject=str(path)) from None
    if not isinstance(fields, dict):
        raise SourceCorrupt("is not a JSON object", subject=str(path))
    return fields


def _refuse_quantized(fields: Mapping[str, Any], origin: Path) -> None:
    quantization = fields.get("quantization_config")
    if isinstance(quantization, dict):
        raise SourceError(
            f"weights are already quantized ({quantization.get('quant_method', 'unknown method')})",
            subject=str(origin),
            next_step="Give the original model; of quantized ones only GGUF files are read.",
        )


@dataclass(frozen=True)
class FolderTokenizer:
    """Copies the tokenizer files of a folder."""

    folder: Path

    def write(self, folder: Path) -> TokenizerFiles:
        """Copy what is there; a missing tokenizer.json is made from the slow tokenizer's files."""
        present = [name for name in TOKENIZER_FILES if (self.folder / name).is_file()]
        for name in present:
            shutil.copyfile(self.folder / name, folder / name)
        names = set(present)
        if "tokenizer.json" not in names and "tokenizer_config.json" in names:
            names |= self._convert(folder)
        names |= _split_out_chat_template(folder)
        template = "chat_template.jinja" if "chat_template.jinja" in names else None
        return TokenizerFiles(tuple(sorted(names)), template)

    def _convert(self, folder: Path) -> set[str]:
        from transformers import AutoTokenizer

        try:
            saved = AutoTokenizer.from_pretrained(self.folder, local_files_only=True).save_pretrained(folder)
        except (ValueError, OSError, ImportError) as error:
            raise SourceError(
                f"no tokenizer.json, and none can be made: {str(error).splitlines()[0]}",
                subject=str(self.folder),
            ) from error
        return {Path(path).name for path in saved if Path(path).is_file()}


def _split_out_chat_template(folder: Path) -> set[str]:
    """Older repositories keep the template inside tokenizer_config.json; engines look for the file."""
    target = folder / "chat_template.jinja"
    tokenizer_config = folder / "tokenizer_config.json"
    if target.exists() or not tokenizer_config.is_file():
        return set()
    template = json.loads(tokenizer_config.read_text()).get("chat_template")
    if isinstance(template, list):  # several named templates
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
    if not isinstance(template, str):
        return set()
    target.write_text(template)
    return {target.name}
