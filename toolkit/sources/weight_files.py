"""Which files of a folder or repository hold the weights: those that transformers would read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import MissingWeights, SourceCorrupt, SourceError, SourceNotFound
from toolkit.sources.adapters import refuse_adapter_names

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_PICKLED_SINGLE = "pytorch_model.bin"
_PICKLED_INDEX = "pytorch_model.bin.index.json"
# transformers' order (modeling_utils._get_resolved_checkpoint_files): one whole file wins over an index, even
# where an index of older shards was left beside it, and safetensors win over pickles.
_ORDER = (SINGLE, INDEX, _PICKLED_SINGLE, _PICKLED_INDEX)


def is_pickled(name: str) -> bool:
    """Whether a weight file, or the shards of an index, can run code when loaded."""
    return not name.endswith((".safetensors", ".safetensors.index.json"))


def entry_point(names: Collection[str], fields: Mapping[str, Any], *, subject: str) -> str:
    """The single file or index that transformers starts from.

    Args:
        names: top-level files that are there.
        fields: content of config.json; ``transformers_weights`` in it names the file explicitly.
        subject: folder or repository, for messages.

    Raises:
        SourceNotFound: nothing that transformers would read; says what is there instead.
    """
    explicit = fields.get("transformers_weights")
    if isinstance(explicit, str):
        if Path(explicit).name != explicit or is_pickled(explicit):
            raise SourceError(
                f"transformers_weights in config.json names {explicit!r}, no safetensors file beside it",
                subject=subject,
                next_step="Correct or remove transformers_weights in config.json.",
            )
        if explicit in names:
            return explicit
        raise MissingWeights(
            f"{explicit} is missing, which transformers_weights in config.json names",
            subject=subject,
            next_step="Get the file, or remove transformers_weights from config.json.",
        )
    for name in _ORDER:
        if name in names:
            return name
    refuse_adapter_names(names, subject=subject)
    raise _nothing_readable(names, subject)


def files_of(entry: str, read_index: Callable[[], Path]) -> list[str]:
    """Names of the weight files that an entry point stands for.

    Raises:
        SourceCorrupt: the index cannot be read.
    """
    return shards_of_index(read_index()) if entry.endswith(".index.json") else [entry]


def folder_files(folder: Path, fields: Mapping[str, Any]) -> list[Path]:
    """The weight files of a folder.

    Raises:
        SourceNotFound: none that transformers would read.
        SourceCorrupt: the index cannot be read.
        MissingWeights: the index names files that are not there.
    """
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    entry = entry_point(names, fields, subject=str(folder))
    shards = files_of(entry, lambda: folder / entry)
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise MissingWeights(
            f"{len(missing)} of {len(shards)} weight files are missing: {', '.join(missing[:4])}",
            subject=str(folder),
            next_step="Download the missing files into the folder.",
        )
    return [folder / shard for shard in shards]


def shards_of_index(index: Path) -> list[str]:
    """File names in an index, each once, sorted.

    Raises:
        SourceCorrupt: not an index, or one that points outside its folder.
    """
    try:
        fields = json.loads(index.read_text(encoding="utf-8"))
        shards = sorted(set(fields["weight_map"].values()), key=str)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceCorrupt(
            f"the index cannot be read: {error}", subject=str(index), next_step="Get the file again."
        ) from None
    if "metadata" not in fields:
        raise SourceCorrupt(
            'the index has no "metadata", without which transformers does not read it',
            subject=str(index),
            next_step='Add "metadata": {} beside "weight_map".',
        )
    if not shards:
        raise SourceCorrupt("the index names no file", subject=str(index), next_step="Get the file again.")
    odd = [shard for shard in shards if not isinstance(shard, str) or Path(shard).name != shard]
    if odd:
        raise SourceCorrupt(
            f"the index names {odd[0]!r}, no file beside it",
            subject=str(index),
            next_step="Put the weight files beside the index and name them so, or get the index again.",
        )
    return shards


def _nothing_readable(names: Collection[str], subject: str) -> SourceNotFound:
    """Says what is there in place of weights that transformers reads."""
    present = sorted(names)
    gguf = [name for name in present if name.lower().endswith(".gguf")]
    consolidated = [name for name in present if name.startswith("consolidated.")]
    others = [
        name for name in present if name.endswith((".safetensors", ".bin", ".pth", ".pt", ".h5", ".msgpack"))
    ]
    if gguf:
        what, then = "no safetensors, but a GGUF file", f"Give the path of {gguf[0]}."
    elif consolidated:
        what = f"only weights in their publisher's own layout ({consolidated[0]})"
        then = f"Get the {SINGLE} or its shards of the same model, which transformers reads."
    elif len(others) == 1 and others[0].endswith(".safetensors"):
        what = f"weights under a name that transformers does not read ({others[0]})"
        then = f"Rename it to {SINGLE}, if it is the whole model."
    elif others:
        what = f"weights under names that transformers does not read ({', '.join(others[:3])})"
        then = f"Save the model with transformers' save_pretrained, which writes {SINGLE}."
    else:
        what, then = (
            "no *.safetensors in the folder",
            f"Give a folder that holds config.json and {SINGLE}, or a .gguf file.",
        )
    return SourceNotFound(what, subject=subject, next_step=then)
