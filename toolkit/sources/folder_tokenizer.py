"""The tokenizer of a folder in Hugging Face's layout, read by transformers and written as one tokenizer.json.

Transformers gathers a tokenizer from up to a dozen files, with rules about which of them wins. They are not
told again here: AutoTokenizer reads, and what it made of the files is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.errors import SourceCorrupt, SourceError, UntrustedSource, first_line
from toolkit.progress import say
from toolkit.sources.base import TokenizerFiles
from toolkit.sources.generation import (
    GENERATION_CONFIG,
    TokenId,
    generation_fields,
    read_tokens,
    write_generation_config,
)
from toolkit.sources.generation_rules import not_applied
from toolkit.sources.side_files import SideFiles, read_side_files

CHAT_TEMPLATE = "chat_template.jinja"
_TOKENIZER = "tokenizer.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
# What describes this process's loading, or files that are not written.
_LOCAL = ("is_local", "local_files_only", "name_or_path", "chat_template", "added_tokens_decoder", "auto_map")


@dataclass(frozen=True)
class FolderTokenizer:
    """Tokenizer, chat template and generation config of one folder.

    Attributes:
        folder: where the side files are.
        config: content of config.json; its tokens count where there is no generation_config.json.
        trust_remote_code: run tokenizer code that comes with the folder.
    """

    folder: Path
    config: Mapping[str, Any]
    trust_remote_code: bool = False

    def write(self, folder: Path) -> TokenizerFiles:
        """Write tokenizer.json, tokenizer_config.json, chat template and generation config.

        What the source lacks is said; a model without any vocabulary gives a generation config only.

        Raises:
            SourceCorrupt: a side file is damaged or contradicts itself.
            SourceError: no tokenizer can be made of the files.
            UntrustedSource: the tokenizer needs code that comes with the folder, without trust.
        """
        files = read_side_files(self.folder)
        names: list[str] = []
        template: str | None = None
        token_id: TokenId = _no_token
        if not files.vocabularies and _TOKENIZER_CONFIG not in files.names:
            say(f"{self.folder.name} has no tokenizer: the artifact takes token ids, but no text")
        else:
            tokenizer = self._load(files)
            token_id = tokenizer.backend_tokenizer.token_to_id
            template = _write_template(folder, tokenizer, files)
            names += _write_tokenizer(folder, tokenizer, files)
            if _cleans_up(tokenizer):
                say(
                    f"{self.folder.name}: transformers takes blanks before punctuation out of decoded texts "
                    "(clean_up_tokenization_spaces), which is not applied"
                )
            if template is None:
                say(f"{self.folder.name} has no chat template: prompts are sent as they are")
        if template is not None:
            names.append(template)
        names.append(self._write_generation_config(folder, files, token_id))
        return TokenizerFiles(tuple(sorted(names)), template)

    def _write_generation_config(self, folder: Path, files: SideFiles, token_id: TokenId) -> str:
        if GENERATION_CONFIG in files.names:
            # As in transformers, the model's config does not fill what this file leaves out.
            fields: Mapping[str, Any] = files.object(GENERATION_CONFIG)
            name, told = GENERATION_CONFIG, fields
        else:
            name, told = "config.json", generation_fields(self.config)
            fields = {key: told.get(key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        if (rules := not_applied(told)) is not None:
            say(f"{self.folder.name}: {name} {rules}")
        subject = str(self.folder / name)
        return write_generation_config(folder, read_tokens(fields, token_id, subject=subject))

    def _load(self, files: SideFiles) -> Any:
        """The tokenizer as AutoTokenizer makes it; of one that is Python code what tokenizer.json says."""
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        with self._failures(files):
            try:
                tokenizer = AutoTokenizer.from_pretrained(
                    self.folder, local_files_only=True, trust_remote_code=self.trust_remote_code
                )
            except ValueError as error:
                if "trust_remote_code" not in str(error) or _TOKENIZER not in files.names:
                    raise
                tokenizer = None
            if not hasattr(tokenizer, "backend_tokenizer") and _TOKENIZER in files.names:
                say(f"{self.folder.name} has a tokenizer of Python code: {_TOKENIZER} is taken in its place")
                tokenizer = PreTrainedTokenizerFast.from_pretrained(self.folder, local_files_only=True)
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise SourceError(
                f"its tokenizer is Python code ({type(tokenizer).__name__}), which has no {_TOKENIZER}",
                subject=str(self.folder),
                next_step=f"Put a {_TOKENIZER} beside the model that reads texts as that code does.",
            )
        if not isinstance(tokenizer.model_max_length, int | float):
            raise SourceCorrupt(
                f"model_max_length is {tokenizer.model_max_length!r}, not a number",
                subject=str(self.folder / _TOKENIZER_CONFIG),
                next_step="Take the tokenizer files of the original model.",
            )
        return tokenizer

    @contextmanager
    def _failures(self, files: SideFiles) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever these files made transformers and tokenizers raise
            raise self._failure(files, error) from error
        except BaseException as error:
            # A panic in tokenizers' Rust is not an Exception.
            if type(error).__name__ != "PanicException":
                raise
            raise self._failure(files, error) from error

    def _failure(self, files: SideFiles, error: BaseException) -> SourceError:
        reason = first_line(error)
        if "trust_remote_code" in str(error):
            return UntrustedSource(
                "its tokenizer needs Python code that comes with the model",
                subject=str(self.folder),
                next_step=f"Put a {_TOKENIZER} beside the model, or pass --trust-remote-code if you trust "
                "whoever published it.",
            )
        missing = [name for name in ("sentencepiece", "google.protobuf") if not _installed(name)]
        if _TOKENIZER not in files.names and missing:
            packages = " ".join(name.replace("google.", "") for name in missing)
            return SourceError(
                f"no tokenizer.json, and making one of {', '.join(files.vocabularies)} needs {packages}",
                subject=str(self.folder),
                next_step=f"pip install {packages}",
            )
        if _TOKENIZER in files.names:
            return SourceCorrupt(
                f"no tokenizer can be made of {', '.join(_parts(files))}: {reason}",
                subject=str(self.folder),
                next_step="Take the tokenizer files of the original model.",
            )
        return SourceError(
            f"no tokenizer.json, and none can be made of {', '.join(_parts(files))}: {reason}",
            subject=str(self.folder),
            next_step="Put tokenizer.json and tokenizer_config.json of the original model beside, or move "
            "these files away to convert without a tokenizer.",
        )


def _write_tokenizer(folder: Path, tokenizer: Any, files: SideFiles) -> list[str]:
    backend = tokenizer.backend_tokenizer
    # Left over from a training; transformers asks for both anew with every text.
    backend.no_truncation()
    backend.no_padding()
    if getattr(backend.model, "dropout", None):
        say(
            f"{files.folder.name}: its tokenizer leaves out merges by chance (dropout), as trainings do; "
            "here it does not"
        )
        backend.model.dropout = None
    text = backend.to_str(pretty=False)
    if type(backend).from_str(text).get_vocab() != backend.get_vocab():
        raise SourceCorrupt(
            f"the vocabulary of {', '.join(_parts(files))} gives several tokens one id",
            subject=str(files.folder),
            next_step="Take the tokenizer files of the original model.",
        )
    (folder / _TOKENIZER).write_text(text, encoding="utf-8")
    fields = {key: value for key, value in files.object(_TOKENIZER_CONFIG).items() if key not in _LOCAL} or {
        "tokenizer_class": "PreTrainedTokenizerFast"
    }
    fields = {
        key: value for key, value in fields.items() if not key.endswith("_token") or isinstance(value, bool)
    }
    fields |= dict(tokenizer.special_tokens_map)
    if tokenizer.split_special_tokens is True:
        fields["split_special_tokens"] = True
    if isinstance(tokenizer.chat_template, dict) and "default" not in tokenizer.chat_template:
        # For conversations of special kinds only; a plain one must hear of them.
        fields["chat_template"] = [
            {"name": name, "template": text} for name, text in sorted(tokenizer.chat_template.items())
        ]
    text = json.dumps(fields, indent=2, ensure_ascii=False)
    (folder / _TOKENIZER_CONFIG).write_text(text + "\n", encoding="utf-8")
    return [_TOKENIZER, _TOKENIZER_CONFIG]


def _write_template(folder: Path, tokenizer: Any, files: SideFiles) -> str | None:
    """The template of a plain conversation, in a file of its own; engines look for that."""
    template = tokenizer.chat_template
    if not template:
        # Where processors of vision-language models keep it, the first one winning.
        places = (files.object(name) for name in ("processor_config.json", "chat_template.json"))
        template = next(filter(None, (place.get("chat_template") for place in places)), None)
    texts = [*template, *template.values()] if isinstance(template, dict) else [template]
    odd = next((one for one in texts if one is not None and not isinstance(one, str)), None)
    if isinstance(template, dict):
        template = template.get("default")
    if not template and odd is None:
        return None
    if odd is not None:
        raise SourceCorrupt(
            f"the chat template is no text but {type(odd).__name__}",
            subject=str(files.folder),
            next_step="Take the tokenizer files of the original model.",
        )
    (folder / CHAT_TEMPLATE).write_text(template, encoding="utf-8", newline="")
    return CHAT_TEMPLATE


def _cleans_up(tokenizer: Any) -> bool:
    """Whether decode() changes what the vocabulary gives; of BPE it does so only where that is forced."""
    forced = tokenizer.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output
    is_bpe = type(tokenizer.backend_tokenizer.model).__name__ == "BPE"
    return bool(tokenizer.clean_up_tokenization_spaces) and (bool(forced) or not is_bpe)


def _parts(files: SideFiles) -> tuple[str, ...]:
    return files.vocabularies or (_TOKENIZER_CONFIG,)


def _no_token(text: str) -> int | None:
    return None


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
