"""A byte-level vocabulary of a GGUF file as a tokenizer: the tokens are llama.cpp's, text by text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt, SourceError
from toolkit.progress import say
from toolkit.sources.gguf.header import GgufHeader
from toolkit.sources.gguf.pre_tokenizers import PRE_TOKENIZERS, UNNAMED, PreTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
NUMBER_PATTERN = r"\p{N}"
# Kinds of tokens that are found in a text before it is cut.
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
_FOLDER = "Use the model's safetensors folder."


def byte_level_tokenizer(header: GgufHeader) -> tuple[Tokenizer, bool]:
    """The tokenizer, and whether texts begin with the first token where the file does not say.

    Raises:
        SourceError: no merges, or a name for the way of cutting texts that is not known.
        SourceCorrupt: tokens and their kinds do not fit together.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    how = _pre_tokenizer(header)
    tokens: list[str] = header.metadata["tokenizer.ggml.tokens"]
    merges = header.metadata.get("tokenizer.ggml.merges")
    if merges is None:
        raise SourceError(
            "its byte-level vocabulary has no merges", subject=str(header.path), next_step=_FOLDER
        )
    vocabulary = {token: index for index, token in enumerate(tokens)}
    pairs = [_pair(merge) for merge in merges]
    lost = next((pair for pair in pairs if not {*pair, "".join(pair)} <= vocabulary.keys()), None)
    if lost is not None:
        # The library would panic over some of them.
        raise SourceCorrupt(
            f"its vocabulary and merges do not fit together: {' '.join(lost)!r} makes no token",
            subject=str(header.path),
            next_step=_FOLDER,
        )
    try:
        model = models.BPE(
            vocabulary,
            pairs,
            ignore_merges=how.ignore_merges,
        )
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise SourceCorrupt(
            f"its vocabulary and merges do not fit together: {error}",
            subject=str(header.path),
            next_step=_FOLDER,
        ) from None
    tokenizer = Tokenizer(model)
    *first, last = how.patterns
    # The two commonest patterns have names, which other runtimes than tokenizers know better.
    by_name = last == GPT2_PATTERN
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(
                pre_tokenizers.Digits(individual_digits=True)
                if pattern == NUMBER_PATTERN
                else pre_tokenizers.Split(Regex(pattern), "isolated")
                for pattern in (first if by_name else how.patterns)
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=by_name),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds: list[Any] = header.metadata.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    named = list(zip(tokens, kinds, strict=False))
    special = [token for token, kind in named if kind in (_CONTROL, _UNKNOWN)]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    plain = [token for token, kind in named if kind == _USER_DEFINED]
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    return tokenizer, how.adds_bos


def _pair(merge: str) -> tuple[str, str]:
    # As llama.cpp: the first character may be a blank itself.
    at = merge.find(" ", 1)
    return merge[:at], merge[at + 1 :]


def _pre_tokenizer(header: GgufHeader) -> PreTokenizer:
    name = header.metadata.get("tokenizer.ggml.pre")
    if name is None:
        say(f"{header.path.name} does not say how texts are cut into pieces: llama.cpp's default is taken")
        return UNNAMED
    if name not in PRE_TOKENIZERS:
        raise SourceError(
            f"cuts texts into pieces as {name!r} does, which is not known (tokenizer.ggml.pre)",
            subject=str(header.path),
            next_step=_FOLDER,
        )
    return PRE_TOKENIZERS[name]
