"""Names that checkpoints use for the parameters of a text decoder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from toolkit.errors import SourceError

# Base models are stored without the wrapper's prefix (gpt2), decoders of multimodal models below another one.
_BASE_PREFIXES = ("model.", "transformer.")
_WRAPPERS = ("language_model.", "model.language_model.", "text_model.", "model.text_model.")
# What a training wraps around a model, whose name then stands in its tensors' -> who does.
_TRAINING = {
    "_checkpoint_wrapped_module.": "activation checkpointing",
    "_fsdp_wrapped_module.": "FullyShardedDataParallel",
    "_orig_mod.": "torch.compile",
    "module.": "DataParallel",
}
_LAYER = re.compile(r"\.\d+\.")


def locate(parameters: Iterable[str], stored: Collection[str], *, base: str = "") -> dict[str, str]:
    """Parameters that a checkpoint holds -> the names under which it does.

    Args:
        parameters: entries of the ``state_dict()``, e.g. ``model.layers.0.self_attn.q_proj.weight``.
        stored: names in the checkpoint.
        base: the module that holds the body; transformers takes its name off where it stands once more.
    """
    names = set(stored)
    wanted = list(parameters)
    located = _located(wanted, names, (*_WRAPPERS, f"{base}.") if base else _WRAPPERS)
    # Tied aliases are rarely stored; whatever else is missing may lie below a prefix that is not known here.
    if any(_bare(parameter) != parameter and parameter not in located for parameter in wanted):
        others = (_located(wanted, names, (prefix,)) for prefix in _prefixes(wanted, names))
        located = max([located, *others], key=len)
    return located


def refuse_wrapped(
    parameters: Iterable[str], stored: Collection[str], *, base: str = "", subject: str
) -> None:
    """Refuse names with something in them that transformers would not find the parameters behind.

    Args:
        parameters: entries of the ``state_dict()``.
        stored: names in the checkpoint.
        base: the module that holds the body, whose name transformers takes off.
        subject: folder or file, for messages.

    Raises:
        SourceError: names what to take out of them.
    """
    wanted = list(parameters)
    for part, maker in _TRAINING.items():
        if not any(_within(part, name) for name in wanted) and any(_within(part, name) for name in stored):
            raise _refusal(part, f"as {maker} leaves it", stored, subject)
    probe = next((name for name in wanted if _LAYER.search(name)), None)
    if probe is None or probe in stored:
        return
    for name in stored:
        prefix = name.removesuffix(probe)
        if name.endswith(f".{probe}") and prefix not in (*_WRAPPERS, f"{base}."):
            raise _refusal(prefix, "which transformers does not take off", stored, subject)


def _within(part: str, name: str) -> bool:
    return f".{part}" in f".{name}"


def _refusal(part: str, why: str, stored: Collection[str], subject: str) -> SourceError:
    found = [name for name in stored if _within(part, name)]
    return SourceError(
        f"{len(found)} of {len(stored)} stored tensors have {part!r} in their names, {why}: {found[0]}",
        subject=subject,
        next_step=f'Save the weights without it (safetensors.torch): save_file({{name.replace("{part}", ""): '
        'tensor for name, tensor in load_file(FILE).items()}, FILE, {"format": "pt"}).',
    )


def _located(parameters: list[str], names: set[str], wrappers: Sequence[str]) -> dict[str, str]:
    places = {
        parameter: next((name for name in _candidates(parameter, wrappers) if name in names), None)
        for parameter in parameters
    }
    return {parameter: name for parameter, name in places.items() if name is not None}


def _prefixes(parameters: list[str], names: set[str]) -> list[str]:
    """What stands before the decoder's first layer in the checkpoint's names."""
    probe = next((_bare(parameter) for parameter in parameters if _LAYER.search(parameter)), None)
    if probe is None:
        return []
    return sorted(name.removesuffix(probe) for name in names if name.endswith(f".{probe}"))


def _bare(parameter: str) -> str:
    """Without the module that base models are stored without."""
    base = next((prefix for prefix in _BASE_PREFIXES if parameter.startswith(prefix)), "")
    return parameter.removeprefix(base)


def _candidates(parameter: str, wrappers: Sequence[str]) -> list[str]:
    bare = _bare(parameter)
    candidates = [parameter, *(wrapper + parameter for wrapper in wrappers)]
    # A bare lm_head has no prefix to lose; bare names only ever belong to the decoder's body.
    return candidates if bare == parameter else [*candidates, bare, *(wrapper + bare for wrapper in wrappers)]
