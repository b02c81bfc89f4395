"""From stored tensors to a model's parameters, by transformers' rules and with every name accounted for."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Protocol

from toolkit.sources.accounting import check_all_read
from toolkit.sources.adapters import refuse_adapter_tensors, without_adapters_of_senses
from toolkit.sources.checkpoint_names import locate, refuse_wrapped
from toolkit.sources.conversions import ConvertedWeights, conversions_of
from toolkit.sources.other_layouts import refuse_other_layouts
from toolkit.sources.parameters import check_complete, model_parameters
from toolkit.sources.prequantized import refuse_other_forms, refuse_quantized_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PretrainedConfig

    from toolkit.sources.base import WeightReader


class StoredTensors(Protocol):
    """The tensors of weight files, by the names that the files give."""

    def names(self) -> list[str]:
        """Every name in the files."""
        ...

    def dtype(self, name: str) -> str:
        """Storage type as safetensors names it."""
        ...

    def equal(self, name: str, other: str) -> bool:
        """Whether two tensors hold the same numbers."""
        ...

    def weights(self, located: Mapping[str, str]) -> WeightReader:
        """Reads the parameters that lie under these names."""
        ...


def read_checkpoint(
    stored: StoredTensors,
    config: PretrainedConfig,
    *,
    composite: bool,
    subject: str,
    trust_remote_code: bool = False,
) -> tuple[PretrainedConfig, WeightReader]:
    """The config as the weights make it, and a reader of the parameters.

    Tied parameters go by transformers' rule (``PreTrainedModel.tie_weights``): a pair that is stored twice
    with different numbers is not tied, whatever the config says; where only the alias is stored, it is the
    source.

    Raises:
        SourceError: an adapter, quantized weights, or tensors that no part of the model reads.
        MissingWeights: the model needs tensors that are not stored.
        SourceCorrupt: a tensor has another shape than the config says.
        UnsupportedModel: transformers has no causal language model for the config.
    """
    plain, adapters = without_adapters_of_senses(stored.names())
    names = list(plain)
    refuse_adapter_tensors(names, subject=subject)
    model = model_parameters(config, subject=subject, trust_remote_code=trust_remote_code)
    if not composite:
        refuse_wrapped(model.parameters, names, base=model.base_prefix, subject=subject)
    accounted = locate([*model.parameters, *model.tied], names, base=model.base_prefix)
    tied = model.tied
    differing = [alias for alias, source in tied.items() if _differ(stored, plain, accounted, alias, source)]
    for alias, source in tied.items():
        if source not in accounted and alias in accounted:
            accounted[source] = accounted[alias]
    if differing:
        config = copy.deepcopy(config)
        # A config ties all pairs or none: those that do not differ are read twice.
        config.tie_word_embeddings = False
        model = model_parameters(config, subject=subject, trust_remote_code=trust_remote_code)
        for alias, source in tied.items():
            if source in accounted:
                accounted.setdefault(alias, accounted[source])
        print(
            f"{subject}: not tied, since both are stored and differ: {_pairs(differing, tied)}",
            file=sys.stderr,
        )
    located = {name: accounted[name] for name in model.parameters if name in accounted}
    missing = [name for name in model.parameters if name not in located]
    conversions = conversions_of(missing, names, model) if missing else {}
    pieces = {name: name for conversion in conversions.values() for _, name in conversion.sources}
    read = {*accounted.values(), *pieces}
    unread = [name for name in names if name not in read]
    dtypes = {name: stored.dtype(plain[name]) for name in (*located.values(), *pieces)}
    refuse_quantized_tensors(dtypes, unread, subject=subject)
    lacking = [name for name in missing if name not in conversions]
    refuse_other_layouts(lacking, unread, subject=subject)
    refuse_other_forms(lacking, unread, subject=subject)
    weights = stored.weights({parameter: plain[name] for parameter, name in located.items()})
    if conversions:
        converted = stored.weights({name: plain[name] for name in pieces})
        weights = ConvertedWeights(weights, converted, conversions, model.parameters, config)
    check_complete(model.parameters, {name: weights.shape(name) for name in weights.names()}, subject=subject)
    check_all_read(
        model,
        accounted | pieces,
        names,
        composite=composite,
        subject=subject,
    )
    if adapters:
        print(f"{subject}: without {len(adapters)} tensors of adapters for images and sound", file=sys.stderr)
    return config, weights


def _pairs(aliases: Sequence[str], tied: Mapping[str, str]) -> str:
    more = f" and {len(aliases) - 2} more" if len(aliases) > 2 else ""
    return ", ".join(f"{alias} and {tied[alias]}" for alias in aliases[:2]) + more


def _differ(
    stored: StoredTensors, plain: Mapping[str, str], located: Mapping[str, str], alias: str, source: str
) -> bool:
    if alias not in located or source not in located:
        return False
    return not stored.equal(plain[located[alias]], plain[located[source]])
