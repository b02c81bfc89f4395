"""Adapters (LoRA and the like) are refused by name: what they change would be lost without a word."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from pathlib import Path

from toolkit.errors import SourceError

ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# How modules begin that peft adds; base_layer and modules_to_save wrap the model's own tensors. The dot is a
# part of it: Gemma 3 has a mm_soft_emb_norm, which is no oft_.
_MARKS = re.compile(
    r"(?:^|\.)(?:lora_|base_layer\.|modules_to_save\.|original_module\.|ia3_|hada_|lokr_|oft_|vera_lambda|"
    r"prompt_encoder\.|base_model\.model\.)"
)
# How all of peft's adapters name their tensors (PEFT_TYPE_TO_PREFIX_MAPPING), and others. Some are ordinary
# words, so that only what no part of a model reads is asked.
PREFIXES = (
    *("adamss", "adapters", "adaption_prompt", "beft", "boft", "bone", "c3a", "cartridge", "cpt", "deft"),
    *("delora", "fourierft", "frod", "glora", "gralora", "hada", "hira", "hra", "ia3", "lily", "ln_tuning"),
    *("lokr", "lora", "miss", "multitask_prompt_tuning", "oft", "osf", "p_tuning", "peanut", "poly"),
    *("prefix_tuning", "prompt_tuning", "psoft", "pvera_lambda", "randlora", "road", "shadow", "shira"),
    *("supertuning", "tinylora", "token_adapter", "trainable_tokens", "unilora", "vblora", "vera_lambda"),
    *("waveft", "xlora"),
)
_PREFIXED = re.compile(rf"(?:^|\.)(?:{'|'.join(PREFIXES)})(?:[._]|$)")
# Adapters for images and sound, which text goes without (Phi-4-multimodal); they wrap the decoder's matrices.
_OF_A_SENSE = re.compile(r"\.lora_(?:[AB]|embedding_[AB])\.(?:vision|image|video|speech|audio)\.")
_MERGE = "PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(DIR), then convert DIR."


def refuse_adapter_folder(
    folder: Path, *, hub_id: str | None = None, names: Collection[str] | None = None
) -> None:
    """Refuse a folder with adapter_config.json, alone or beside a whole model.

    Args:
        folder: the folder, or a snapshot of a hub repository.
        hub_id: the repository, for messages.
        names: files that belong to it, where not all are there yet.

    Raises:
        SourceError: says what it is, of which model, and how to merge it.
    """
    file = folder / ADAPTER_CONFIG
    if not file.is_file():
        return
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        fields = {}
    fields = fields if isinstance(fields, dict) else {}
    kind = fields.get("peft_type") or "an adapter"
    base = fields.get("base_model_name_or_path")
    of = f" of {base}" if isinstance(base, str) and base else ""
    if names is None:
        names = [path.name for path in folder.iterdir()]
    if "config.json" in names and any(fnmatch(name, "model*.safetensors") for name in names):
        without = f"move {ADAPTER_CONFIG} away."
        if hub_id:
            # What is moved out of the cache comes back with the next look at the hub.
            without = (
                f"run `hf download {hub_id} --exclude '{ADAPTER_CONFIG}' --local-dir DIR`, then convert DIR."
            )
        raise SourceError(
            f"holds a whole model and an adapter ({ADAPTER_CONFIG}: {kind}{of}), which would be lost",
            subject=hub_id or str(folder),
            next_step=f"Merge the adapter first: {_MERGE} To convert without it, {without}",
        )
    raise SourceError(
        f"is an adapter ({kind}{of}), not a whole model",
        subject=hub_id or str(folder),
        next_step=f"Merge the adapter into its model first: {_MERGE}",
    )


def refuse_adapter_names(names: Collection[str], *, subject: str) -> None:
    """Refuse files or a repository that hold an adapter's weights and no model's.

    Raises:
        SourceError: an adapter's weight file is among the names.
    """
    found = [name for name in _ADAPTER_WEIGHTS if name in names]
    if found:
        raise SourceError(
            f"holds an adapter's weights only ({found[0]}), not a whole model",
            subject=subject,
            next_step=f"Merge the adapter into its model first: {_MERGE}",
        )


def refuse_adapter_tensors(stored: Iterable[str], *, subject: str) -> None:
    """Refuse weights that hold an adapter's tensors, beside the model's or wrapped around them.

    Raises:
        SourceError: names the first of them.
    """
    _refuse_adapters(sorted(name for name in stored if _MARKS.search(name)), subject)


def refuse_unread_adapters(unread: Iterable[str], *, subject: str) -> None:
    """Refuse tensors of an adapter among those that no part of the model reads.

    Raises:
        SourceError: names the first of them.
    """
    _refuse_adapters(sorted(name for name in unread if _PREFIXED.search(name)), subject)


def _refuse_adapters(found: list[str], subject: str) -> None:
    if found:
        raise SourceError(
            f"holds {len(found)} tensors of an adapter that is not merged ({found[0]})",
            subject=subject,
            next_step=f"Merge the adapter first: {_MERGE}",
        )


def without_adapters_of_senses(stored: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Names of a checkpoint whose decoder wears adapters for images or sound, as they are without them.

    Returns:
        name without the wrapping -> name in the checkpoint; and the adapters' names.
    """
    names = list(stored)
    adapters = [name for name in names if _OF_A_SENSE.search(name)]
    wrapped = {_OF_A_SENSE.split(name, maxsplit=1)[0] for name in adapters}
    left_out = set(adapters)
    plain = {
        _unwrapped(name) if name.partition(".base_layer.")[0] in wrapped else name: name
        for name in names
        if name not in left_out
    }
    return plain, adapters


def _unwrapped(name: str) -> str:
    return name.replace(".base_layer.", ".", 1)
