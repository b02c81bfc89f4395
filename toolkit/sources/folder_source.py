"""A local folder in Hugging Face's layout as a model source; hub snapshots are opened here as well."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.artifact import MANIFEST, SourceInfo
from toolkit.errors import SourceCorrupt, SourceNotFound, UnsupportedModel, UntrustedSource
from toolkit.registry import did_you_mean
from toolkit.settings import Settings
from toolkit.sources.adapters import refuse_adapter_folder
from toolkit.sources.architectures.own import OWN_TYPES, register_own_architectures
from toolkit.sources.architectures.text_decoders import register_text_decoder
from toolkit.sources.base import ModelSource, Original
from toolkit.sources.checkpoint import read_checkpoint
from toolkit.sources.checksums import weight_file_entries
from toolkit.sources.config_values import check_values, odd_size
from toolkit.sources.folder_tokenizer import FolderTokenizer
from toolkit.sources.naming import safe_name
from toolkit.sources.pickle_weights import StoredPickles
from toolkit.sources.prequantized import refuse_quantized_config
from toolkit.sources.rotary_values import check_rotary
from toolkit.sources.run_options import forget_run_options
from toolkit.sources.safetensors_weights import StoredSafetensors
from toolkit.sources.stand_ins import refuse_stand_ins
from toolkit.sources.tasks import check_task
from toolkit.sources.weight_files import folder_files, is_pickled

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_CONFIG = "config.json"
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
        UnsupportedModel: transformers does not know the model type, or it is a checkpoint of another task.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    refuse_stand_ins(folder)
    refuse_adapter_folder(folder, hub_id=hub_id)
    fields = config_fields(folder)
    config = config_from_fields(fields, folder, trust_remote_code=trust_remote_code)
    if config.model_type == built_type(fields):
        # Of a model that does more than generate text, the decoder is taken.
        check_task(fields, subject=hub_id or str(folder), headless=True)
    files = folder_files(folder, fields)
    pickled = is_pickled(files[0].name)
    if pickled and not trust_remote_code:
        raise UntrustedSource(
            f"only pickled weights ({files[0].name}), which can run code when loaded",
            subject=str(folder),
            next_step=TRUST,
        )
    config, weights = read_checkpoint(
        (StoredPickles if pickled else StoredSafetensors)(files),
        config,
        composite=is_composite(config, fields),
        subject=str(folder),
        trust_remote_code=trust_remote_code,
    )
    info = SourceInfo(
        kind="hub" if hub_id else "folder",
        id=hub_id or folder.name,
        revision=revision,
        files=weight_file_entries(files, folder, settings.cache_dir),
    )
    # Code that comes with a model type that transformers knows is never run, not even with trust.
    foreign_code = trust_remote_code and config.model_type not in CONFIG_MAPPING
    return ModelSource(
        name or safe_name(folder.resolve().name),
        info,
        config,
        weights,
        FolderTokenizer(folder, fields, trust_remote_code=trust_remote_code),
        Original(folder, trust_remote_code=foreign_code),
    )


def config_from_fields(
    fields: Mapping[str, Any], origin: Path, *, trust_remote_code: bool = False
) -> PretrainedConfig:
    """Build the text decoder's config and drop what describes the checkpoint instead of the model.

    Args:
        fields: content of config.json.
        origin: the folder or file it came from.
        trust_remote_code: allow a config class that comes with the folder.
    """
    from transformers import AutoConfig, PreTrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = built_type(fields)
    if model_type in OWN_TYPES:
        register_own_architectures()
    known = isinstance(model_type, str) and model_type in CONFIG_MAPPING
    if not known and "auto_map" in fields and not trust_remote_code:
        raise UntrustedSource(
            f"model type {model_type!r} needs Python code that comes with the model",
            subject=str(origin),
            next_step=TRUST,
        )
    refuse_quantized_config(fields, origin)
    if known:
        given = {
            key: value
            for key, value in _without_dtypes(fields).items()
            if key not in ("model_type", "auto_map")
        }
        config = _build(lambda: AutoConfig.for_model(model_type, **given), origin, fields)
    elif "auto_map" in fields:
        config = _build_foreign(origin)
    else:
        raise UnsupportedModel(
            f"transformers does not know the model type {model_type!r}",
            subject=str(origin),
            next_step=f"{did_you_mean(str(model_type), CONFIG_MAPPING)}Check model_type in config.json, or "
            "install a newer transformers.",
        )
    forget_run_options(config)
    decoder = config.get_text_config(decoder=True)
    if not isinstance(decoder, PreTrainedConfig):
        raise SourceCorrupt(
            "the text decoder's part of config.json is no config",
            subject=str(origin),
            next_step="Get config.json of the model again.",
        )
    if decoder is not config:
        if hasattr(config, "tie_word_embeddings"):
            # The outer model's class ties its decoder's embeddings, by the outer config.
            decoder.tie_word_embeddings = config.tie_word_embeddings
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(decoder, name, None) is None:
                setattr(decoder, name, getattr(config, name, None))
    check_rotary(decoder, subject=str(origin))
    check_values(decoder, subject=str(origin))
    register_text_decoder(decoder, config)
    return decoder


def built_type(fields: Mapping[str, Any]) -> Any:
    """The type that ``AutoConfig.from_pretrained`` builds: a Mistral with kinds of layers is a Ministral."""
    named = fields.get("model_type")
    return "ministral" if named == "mistral" and "layer_types" in fields else named


def _without_dtypes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A config without the types that its weights once had: conversion reads float32 all the same."""
    return {
        key: _without_dtypes(value) if isinstance(value, dict) and key.endswith("_config") else value
        for key, value in fields.items()
        if key not in ("dtype", "torch_dtype")
    }


def is_composite(config: PretrainedConfig, fields: Mapping[str, Any]) -> bool:
    """Whether a checkpoint holds more than the text decoder of its config: what sees or hears."""
    senses = ("vision_config", "audio_config", "embd_layer", "audio_processor")
    return config.model_type != built_type(fields) or any(fields.get(name) for name in senses)


def _build(make: Any, origin: Path, fields: Mapping[str, Any]) -> Any:
    from huggingface_hub.errors import StrictDataclassError

    try:
        return make()
    except (
        StrictDataclassError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
    ) as error:
        if (computed := re.search(r"property '(\w+)' of .* has no setter", str(error))) is not None:
            raise SourceCorrupt(
                f"config.json sets {computed[1]}, which transformers computes and lets nobody set",
                subject=str(origin),
                next_step=f"Remove {computed[1]} from config.json.",
            ) from error
        if (odd := odd_size(fields)) is not None:
            raise SourceCorrupt(odd[0], subject=str(origin), next_step=odd[1]) from error
        raise SourceCorrupt(
            f"config.json does not make a valid config: {' '.join(str(error).split())[:300]}",
            subject=str(origin),
            next_step="Correct what it names, or get config.json of the model again.",
        ) from error


def _build_foreign(origin: Path) -> Any:
    """A config of a class that comes with the model.

    Raises:
        SourceCorrupt: the class cannot be made, whatever its code raised.
    """
    from transformers import CONFIG_NAME, AutoConfig

    folder, name = (origin.parent, origin.name) if origin.is_file() else (origin, CONFIG_NAME)
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=True, _configuration_file=name)
    except Exception as error:  # the code is anybody's and raises anything
        # What the system refuses, a full disk for one, is not the code's fault; a file that is missing is.
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
            raise
        raise SourceCorrupt(
            f"the model's own Python code makes no config ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]})",
            subject=str(origin),
            next_step="Get all *.py files of the model beside config.json, and install what they import.",
        ) from error


def _without_config(folder: Path) -> SourceNotFound:
    """Says where the model may be: a GGUF file, a training's checkpoint, a snapshot of the hub's cache."""
    gguf = sorted(file.name for file in folder.glob("*") if file.suffix.lower() == ".gguf")
    inner = [path.parent for depth in ("*", "snapshots/*") for path in folder.glob(f"{depth}/config.json")]
    newest = max(inner, key=lambda path: (path / "config.json").stat().st_mtime_ns, default=None)
    found, then = "", "Give a folder that holds config.json and model.safetensors."
    if gguf:
        found, then = ", but a GGUF file", f"Give the path of {gguf[0]}."
    elif (folder / MANIFEST).is_file():
        found, then = ": an artifact, converted already", "Give the model that it was made from."
    elif newest is not None:
        found, then = f", but one in {newest.relative_to(folder)}", f"Give that folder: {newest}"
    elif (folder / "params.json").is_file():
        found = ", but a params.json: its publisher's own layout"
        then = "Get the repository of the same model in transformers' layout."
    return SourceNotFound(f"no config.json in the folder{found}", subject=str(folder), next_step=then)


def config_fields(folder: Path, name: str = _CONFIG) -> dict[str, Any]:
    """Content of a folder's config.json.

    Raises:
        SourceNotFound: there is none.
        SourceCorrupt: it is no JSON object.
    """
    path = folder / name
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _without_config(folder) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SourceCorrupt(
            f"cannot be read: {error}", subject=str(path), next_step="Get config.json of the model again."
        ) from None
    if not isinstance(fields, dict):
        raise SourceCorrupt(
            "is not a JSON object", subject=str(path), next_step="Get config.json of the model again."
        )
    if "configuration_files" in fields and path.name == _CONFIG:
        # Files for versions of transformers, which takes the newest that is not newer than itself.
        chosen = _of_this_version(fields["configuration_files"], path)
        return fields if chosen == _CONFIG else config_fields(folder, chosen)
    return fields


def _of_this_version(names: Any, path: Path) -> str:
    from transformers.configuration_utils import get_configuration_file

    try:
        return str(get_configuration_file(names))
    except (TypeError, ValueError, AttributeError) as error:
        raise SourceCorrupt(
            f"its configuration_files are no names of files: {error}",
            subject=str(path),
            next_step="Get config.json of the model again, or remove configuration_files from it.",
        ) from None
