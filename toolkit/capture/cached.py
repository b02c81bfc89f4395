"""Captures that are kept: a capture is made once and reused for every quantization of the model.

It depends on the configuration, on code and on versions, which are its key in the cache, and on nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import toolkit
from toolkit.capture.capture import capture
from toolkit.capture.exported import is_parameter
from toolkit.capture.graph import DecoderGraph
from toolkit.files import write_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def cached_capture(model: PreTrainedModel, config: Any, cache_dir: Path) -> tuple[DecoderGraph, bool]:
    """Return the capture and whether it came from the cache."""
    path = cache_dir / "captures" / f"{config.model_type}-{_cache_key(model, config)}.json"
    kept = _kept(path)
    if kept is not None:
        return kept, True
    graph = capture(model, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = graph.to_json().encode()
    write_whole(path, _digest(text) + b"\n" + text)
    return graph, False


def _kept(path: Path) -> DecoderGraph | None:
    """The graph in a file; None where there is none, or not one byte for byte as it was written."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, _, text = content.partition(b"\n")
    if digest != _digest(text):
        # Cut or damaged: a flipped digit would still be JSON, and another model.
        return None
    return DecoderGraph.from_json(text.decode())


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _cache_key(model: nn.Module, config: Any) -> str:
    """What a capture follows from: config, stored numbers, our code and the model's own, and versions."""
    import transformers

    facts = config.to_dict()
    for irrelevant in ("_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        facts.pop(irrelevant, None)
    versions = [toolkit.__version__, torch.__version__, transformers.__version__]
    numbers = _stored_numbers(model)
    text = json.dumps([facts, versions, _code_digest(model), numbers], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stored_numbers(model: nn.Module) -> dict[str, list[float]]:
    """Values that become constants of a graph and may come from a checkpoint."""
    persistent = set(model.state_dict())
    return {
        name: buffer.flatten().tolist()
        for name, buffer in model.named_buffers()
        if name in persistent and not is_parameter(buffer)
    }


def _code_digest(model: nn.Module) -> str:
    """Hash of the source files of this package and of the model's modules, a folder's own code among them."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for name, file in [*sorted(_named(here.glob("*.py"), here)), *sorted(_model_files(model))]:
        digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _model_files(model: nn.Module) -> set[tuple[str, Path]]:
    """Names and source files of the model's modules; of a folder's own code all that they may import."""
    from transformers.utils import TRANSFORMERS_DYNAMIC_MODULE_NAME

    found: set[tuple[str, Path]] = set()
    for owner in {type(module).__module__ for module in model.modules()}:
        source = sys.modules[owner].__file__
        if source is None:
            continue
        file = Path(source)
        # A helper of functions alone defines no module; libraries' helpers are told by their versions.
        own = owner.startswith(f"{TRANSFORMERS_DYNAMIC_MODULE_NAME}.")
        found |= _named(file.parent.rglob("*.py") if own else [file], file.parent)
    return found


def _named(files: Iterable[Path], folder: Path) -> set[tuple[str, Path]]:
    """Files with their names from a folder on, which do not depend on where that lies."""
    return {(file.relative_to(folder).as_posix(), file) for file in files}
