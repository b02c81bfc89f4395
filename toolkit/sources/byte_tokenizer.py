"""A tokenizer for models without one: every byte is a token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.sources.base import TokenizerFiles
from toolkit.sources.generation import GenerationTokens, write_generation_config

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_BYTES = 256


@dataclass(frozen=True)
class ByteTokenizer:
    """Byte-level tokenizer over a given vocabulary size.

    Special tokens sit at the config's ids, the 256 bytes fill the lowest free ids, and the rest are
    fillers, so that every id a random model produces decodes to something.

    Attributes:
        vocab_size: ids 0 .. vocab_size - 1 all get a token.
        bos_token_id: or None.
        end_token_ids: tokens that end generation.
        pad_token_id: or None.
    """

    vocab_size: int
    bos_token_id: int | None
    end_token_ids: tuple[int, ...]
    pad_token_id: int | None

    @classmethod
    def for_config(cls, config: PretrainedConfig) -> ByteTokenizer:
        """Take size and special ids from a config; ids beyond the vocabulary are left out."""
        size = int(config.vocab_size)

        def within(token_id: Any) -> int | None:
            return token_id if isinstance(token_id, int) and 0 <= token_id < size else None

        # Configs of text decoders within larger models may have none.
        ends = getattr(config, "eos_token_id", None)
        ends = ends if isinstance(ends, list) else [ends]
        return cls(
            vocab_size=size,
            bos_token_id=within(getattr(config, "bos_token_id", None)),
            end_token_ids=tuple(end for end in map(within, ends) if end is not None),
            pad_token_id=within(getattr(config, "pad_token_id", None)),
        )

    def write(self, folder: Path) -> TokenizerFiles:
        """Write tokenizer.json and its configs; only the generation config when 256 bytes do not fit."""
        names = [
            write_generation_config(
                folder, GenerationTokens(self.bos_token_id, self.end_token_ids, self.pad_token_id)
            )
        ]
        special = self._special_tokens()
        if self.vocab_size >= _BYTES + len(special):
            self._write_tokenizer(folder / "tokenizer.json", special)
            (folder / "tokenizer_config.json").write_text(
                json.dumps(self._config(special), indent=2) + "\n", encoding="utf-8"
            )
            names += ["tokenizer.json", "tokenizer_config.json"]
        return TokenizerFiles(tuple(sorted(names)), None)

    def _special_tokens(self) -> dict[int, str]:
        """Special tokens by id; an id with two roles keeps the first name."""
        special: dict[int, str] = {}
        roles = [("<|bos|>", self.bos_token_id), *(("<|eos|>", end) for end in self.end_token_ids)]
        for token, token_id in [*roles, ("<|pad|>", self.pad_token_id)]:
            if token_id is not None:
                special.setdefault(token_id, token if token not in special.values() else f"<|{token_id}|>")
        return special

    def _config(self, special: dict[int, str]) -> dict[str, Any]:
        roles = {
            "bos_token": self.bos_token_id,
            "eos_token": self.end_token_ids[0] if self.end_token_ids else None,
            "pad_token": self.pad_token_id,
        }
        tokens = {role: special[token_id] for role, token_id in roles.items() if token_id is not None}
        return {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": False, **tokens}

    def _write_tokenizer(self, path: Path, special: dict[int, str]) -> None:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        free = iter([index for index in range(self.vocab_size) if index not in special])
        vocab = {token: index for index, token in special.items()}
        for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
            vocab[byte] = next(free)
        vocab.update({f"<unused{index}>": index for index in free})
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(special[index], special=True) for index in sorted(special)])
        tokenizer.save(str(path), pretty=False)
