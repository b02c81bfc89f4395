"""Write the tokenizer that a GGUF file carries as tokenizer.json, byte-level ones as llama.cpp reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolkit.errors import SourceError
from toolkit.progress import say
from toolkit.sources.base import TokenizerFiles
from toolkit.sources.generation import GenerationTokens, write_generation_config
from toolkit.sources.gguf.byte_level import byte_level_tokenizer
from toolkit.sources.gguf.end_tokens import end_token_ids
from toolkit.sources.gguf.first_token import beginning_with_first_token
from toolkit.sources.gguf.header import GgufHeader
from toolkit.sources.gguf.sampling import sampling_in_words
from toolkit.sources.gguf.sentencepiece import sentencepiece_tokenizer


class GgufTokenizer:
    """Tokenizer, chat template and generation config of one GGUF file."""

    def __init__(self, header: GgufHeader) -> None:
        self._header = header

    def write(self, folder: Path) -> TokenizerFiles:
        """Write the files; a GGUF without a vocabulary gives a generation config only.

        Raises:
            SourceError: a kind of vocabulary, or a way of cutting texts, that is not known.
        """
        metadata = self._header.metadata
        if (sampling := sampling_in_words(metadata)) is not None:
            say(f"{self._header.path.name} {sampling}")
        names = [
            write_generation_config(
                folder,
                GenerationTokens(
                    metadata.get("tokenizer.ggml.bos_token_id"),
                    tuple(end_token_ids(self._header)),
                    metadata.get("tokenizer.ggml.padding_token_id"),
                ),
            )
        ]
        if "tokenizer.ggml.tokens" not in metadata:
            say(f"{self._header.path.name} has no tokenizer: the artifact takes token ids, but no text")
            return TokenizerFiles(tuple(names), None)
        tokenizer = self._rebuild()
        first = tokenizer.bos_token_id
        if tokenizer.chat_template and first is not None and tokenizer.encode("")[:1] == [first]:
            tokenizer.chat_template = beginning_with_first_token(
                tokenizer.chat_template, tokenizer.special_tokens_map
            )
        saved = tokenizer.save_pretrained(folder)
        names += [Path(path).name for path in saved if Path(path).is_file()]
        template = "chat_template.jinja" if (folder / "chat_template.jinja").is_file() else None
        if template:
            names.append(template)
        else:
            say(f"{self._header.path.name} has no chat template: prompts are sent as they are")
        _drop_local_flags(folder / "tokenizer_config.json")
        return TokenizerFiles(tuple(sorted(set(names))), template)

    def _rebuild(self) -> Any:
        """As llama.cpp reads the file; special tokens by transformers' names."""
        from transformers import PreTrainedTokenizerFast
        from transformers.integrations.gguf import GGUF_TOKENIZER_MAPPING

        fields = {
            group: {
                new: self._header.metadata[f"tokenizer.{old}"]
                for old, new in names.items()
                if f"tokenizer.{old}" in self._header.metadata
            }
            for group, names in GGUF_TOKENIZER_MAPPING.items()
        }
        tokenizer, config = fields["tokenizer"], fields["tokenizer_config"]
        kind = tokenizer.get("tokenizer_type")
        if kind == "llama":
            # Older sentencepiece files have no flag; llama.cpp adds the token unless told otherwise.
            config.setdefault("add_bos_token", True)
        for role in ("bos", "eos", "unk", "pad"):
            token_id = tokenizer.get(f"{role}_token_id")
            known = isinstance(token_id, int) and token_id < len(tokenizer["tokens"])
            config[f"{role}_token"] = tokenizer["tokens"][token_id] if known else None
        if kind == "gpt2":
            backend, adds_bos = byte_level_tokenizer(self._header)
            if config.setdefault("add_bos_token", adds_bos) and config["bos_token"] is None:
                raise SourceError(
                    "its texts begin with a first token, but the file does not say which",
                    subject=str(self._header.path),
                    next_step="Use the model's safetensors folder.",
                )
            return PreTrainedTokenizerFast(tokenizer_object=backend, **config)
        if kind != "llama":
            raise SourceError(
                f"its vocabulary is of the kind {kind!r}, which is not read",
                subject=str(self._header.path),
                next_step="Use the model's safetensors folder.",
            )
        try:
            backend = sentencepiece_tokenizer(self._header, tokenizer)
        except (ValueError, KeyError) as error:
            raise SourceError(
                f"the tokenizer cannot be rebuilt: {error}",
                subject=str(self._header.path),
                next_step="Use the model's safetensors folder.",
            ) from error
        return PreTrainedTokenizerFast(tokenizer_object=backend, **config)


def _drop_local_flags(tokenizer_config: Path) -> None:
    """Remove what describes this process's loading instead of the tokenizer."""
    fields = json.loads(tokenizer_config.read_text(encoding="utf-8"))
    for flag in ("is_local", "local_files_only", "name_or_path"):
        fields.pop(flag, None)
    tokenizer_config.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
