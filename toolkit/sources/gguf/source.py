"""A GGUF file as a model source."""

from __future__ import annotations

from pathlib import Path

from toolkit.artifact import SourceInfo
from toolkit.settings import Settings
from toolkit.sources.base import ModelSource, Original
from toolkit.sources.checksums import weight_file_entries
from toolkit.sources.gguf.accounting import check_all_read, refuse_other_kinds
from toolkit.sources.gguf.config import read_config
from toolkit.sources.gguf.parts import model_name, parts_of, read_headers
from toolkit.sources.gguf.tensors import TENSOR_NAMES
from toolkit.sources.gguf.tokenizer import GgufTokenizer
from toolkit.sources.gguf.vocabulary_defaults import with_defaults
from toolkit.sources.gguf.vocabulary_keys import check_vocabulary_keys
from toolkit.sources.gguf.weights import GgufWeights
from toolkit.sources.naming import safe_name
from toolkit.sources.parameters import check_complete, expected_parameters


def from_gguf(
    path: Path, settings: Settings, *, info: SourceInfo | None = None, name: str | None = None
) -> ModelSource:
    """Open a GGUF file, or all parts of a split one by the name of any.

    Args:
        path: the file.
        settings: hashes are cached in its cache_dir.
        info: where the file came from, when it is not a local one.
        name: the model's name; otherwise the file's without its ending.

    Raises:
        SourceNotFound: no such file.
        SourceCorrupt: not a GGUF file, cut short, or tensors that do not fit its metadata.
        UnsupportedModel: an architecture that is not known.
        MissingWeights: the architecture needs tensors that the file lacks.
    """
    header = read_headers(path)
    refuse_other_kinds(header)
    check_vocabulary_keys(header)
    header = with_defaults(header)
    config, keys = read_config(header)
    expected = expected_parameters(config, subject=str(path))
    heads = config.num_attention_heads
    weights = GgufWeights(
        header,
        TENSOR_NAMES[header.architecture],
        list(expected),
        query_heads=heads,
        key_heads=getattr(config, "num_key_value_heads", None) or heads,
    )
    check_complete(expected, {name: weights.shape(name) for name in weights.names()}, subject=str(path))
    check_all_read(header, weights.stored_names(), keys)
    if info is None:
        files = weight_file_entries(parts_of(path), path.parent, settings.cache_dir)
        info = SourceInfo(kind="gguf", id=header.path.name, revision=None, files=files)
    return ModelSource(
        name or safe_name(model_name(path)),
        info,
        config,
        weights,
        GgufTokenizer(header),
        Original(header.path),
    )
