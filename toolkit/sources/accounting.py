"""Every stored tensor is read, or known to be harmless, or the checkpoint is refused."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping

from toolkit.errors import SourceError
from toolkit.sources.adapters import refuse_unread_adapters
from toolkit.sources.parameters import ModelParameters

# Buffers that older versions of transformers stored and today's compute, and heads for predicting several
# tokens at once, which the decoder runs without.
_HARMLESS = (
    r"rotary_emb\.inv_freq$",
    r"\.attn\.(masked_)?bias$",
    r"\.attention\.(masked_)?bias$",
    r"(^|\.)position_ids$",
    r"(^|\.)mtp\.",
)
_OTHER_HEADS = ("score", "classifier", "v_head", "value_head", "reward_head", "qa_outputs", "regression_head")


def check_all_read(
    model: ModelParameters,
    located: Mapping[str, str],
    stored: Iterable[str],
    *,
    composite: bool,
    subject: str,
) -> None:
    """Refuse stored tensors that nobody reads, unless they are known to be harmless.

    Args:
        model: what the decoder consists of.
        located: its parameters and tied aliases -> names in the checkpoint.
        stored: all names in the checkpoint.
        composite: the config describes more than a text decoder; what lies beside the decoder is left out,
            and said so.
        subject: folder or file, for messages.

    Raises:
        SourceError: says what the tensors are and what to do.
    """
    harmless = re.compile("|".join(f"(?:{pattern})" for pattern in (*_HARMLESS, *model.ignorable)))
    taken = set(located.values())
    unread = [name for name in stored if name not in taken and not harmless.search(name)]
    if composite:
        beside = [name for name in unread if not _belongs_to_decoder(name, located)]
        _tell_what_is_left_out(beside, subject)
        unread = [name for name in unread if name not in set(beside)]
    if unread:
        refuse_unread_adapters(unread, subject=subject)
        raise _refusal(unread, located, _layers(model), subject)


_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blk)\.(\d+)\.(.*)")


def _refusal(unread: list[str], located: Mapping[str, str], layers: int, subject: str) -> SourceError:
    known, beyond = _by_layer(located.values()), _by_layer(unread)
    surplus = [layer for layer in beyond if layers and layer >= layers]
    odd = [layer for layer in surplus if beyond[layer] not in known.values()]
    heads = [name for name in unread if any(part in _OTHER_HEADS for part in name.split("."))]
    if odd:
        what = (
            f"the weights hold {max(surplus) + 1} layers, the config says {layers}, and layer {odd[0]} is not"
            " like those: heads that predict several tokens at once?"
        )
        then = f"Save the model without the tensors of layer {layers} and beyond."
    elif surplus:
        what = f"the weights hold {max(surplus) + 1} layers, the config says {layers}"
        then = (
            f"Set num_hidden_layers to {max(surplus) + 1} in config.json, and give lists with an entry for "
            "each layer, like layer_types, as many; or get the config of these weights."
        )
    elif heads:
        what = f"is a classifier or reward model: it stores the head {heads[0]}"
        then = "Give the language model that it was made from."
    else:
        more = ", ..." if len(unread) > 3 else ""
        what = f"{len(unread)} stored tensors belong to no part of the model: {', '.join(unread[:3])}{more}"
        then = "Check that config and weights belong together, or save the model without these tensors."
    return SourceError(what, subject=subject, next_step=then)


def _layers(model: ModelParameters) -> int:
    """How many layers the config makes, by the names of the parameters: configs call it as they like."""
    return 1 + max(_by_layer(model.parameters), default=-1)


def _by_layer(names: Iterable[str]) -> dict[int, set[str]]:
    """Number of a layer -> what the names of its tensors end with."""
    layers: dict[int, set[str]] = {}
    for match in filter(None, map(_LAYER.search, names)):
        layers.setdefault(int(match[1]), set()).add(match[2])
    return layers


def _belongs_to_decoder(name: str, located: Mapping[str, str]) -> bool:
    """Whether a name lies within the modules that the decoder's own tensors lie in."""
    return any(name.startswith(root) for root in _roots(located))


def _roots(located: Mapping[str, str]) -> set[str]:
    """Stored prefixes up to and with the decoder's modules: ``language_model.model.layers.`` ..."""
    roots = set()
    for parameter, stored in located.items():
        # The part that both names end with, without the leading module that may be stored otherwise.
        bare = parameter.split(".", 1)[1] if stored.endswith(parameter.split(".", 1)[-1]) else parameter
        prefix = stored.removesuffix(bare)
        roots.add(f"{prefix}{bare.split('.', 1)[0]}.")
    return roots


def _tell_what_is_left_out(names: list[str], subject: str) -> None:
    if not names:
        return
    parts = Counter(".".join(name.split(".")[: 2 if name.startswith("model.") else 1]) for name in names)
    listed = ", ".join(f"{part} ({count} tensors)" for part, count in parts.most_common(4))
    print(f"{subject}: the text decoder is taken, without {listed}", file=sys.stderr)
