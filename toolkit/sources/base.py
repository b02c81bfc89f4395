"""What a model source gives to the rest: facts, config, lazily read weights, tokenizer files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toolkit.artifact import SourceInfo
from toolkit.sources.token_checks import check_tokens

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

    from toolkit.compress.tensor import QuantizedTensor


class WeightReader(Protocol):
    """Reads one tensor at a time; nothing holds the whole model in memory."""

    def names(self) -> list[str]:
        """Parameter names of the model's ``state_dict()``; a tied ``lm_head.weight`` is left out."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a parameter as in the ``state_dict()``."""
        ...

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32, in the ``state_dict()``'s layout.

        Raises:
            SourceCorrupt: the file was cut or changed since it was opened.
        """
        ...

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """The integers, scales and offsets that the source stores, or None when it stores none.

        Rows are always output features, also where the ``state_dict()`` holds [in, out] (gpt2's Conv1D).
        """
        ...


@dataclass(frozen=True)
class TokenizerFiles:
    """Files that were written, by name.

    Attributes:
        names: every file, sorted.
        chat_template: the file with the chat template, one of ``names``, or None.
    """

    names: tuple[str, ...]
    chat_template: str | None


class TokenizerWriter(Protocol):
    """Writes tokenizer.json, tokenizer_config.json, chat template and generation config."""

    def write(self, folder: Path) -> TokenizerFiles:
        """Write what the source has into an existing folder."""
        ...


@dataclass(frozen=True)
class Original:
    """Where transformers itself can load the model from, for a judge that shares nothing with our reader.

    Attributes:
        path: folder, or GGUF file.
        trust_remote_code: load model code that comes with the folder.
    """

    path: Path
    trust_remote_code: bool = False


@dataclass(frozen=True)
class ModelSource:
    """A resolved model: nothing large has been read yet.

    Attributes:
        name: short and safe as a file name, e.g. ``SmolLM2-135M-Instruct``.
        info: where the weights came from, with the sha256 of every weight file.
        config: transformers config of the text decoder, without ``quantization_config``.
        weights: reads parameters one by one.
        tokenizer: writes the tokenizer files.
        original: the files as transformers loads them; None for weights that are no files.
    """

    name: str
    info: SourceInfo
    config: PretrainedConfig
    weights: WeightReader
    tokenizer: TokenizerWriter
    original: Original | None = None

    def write_tokenizer(self, folder: Path) -> TokenizerFiles:
        """Write tokenizer, chat template and generation config into an existing folder.

        Raises:
            SourceError: they cannot be read, or name tokens that the model has no embedding for.
        """
        files = self.tokenizer.write(folder)
        check_tokens(folder, int(self.config.vocab_size), subject=self.name)
        return files
