"""What a generation_config.json asks of transformers' ``generate()`` beside the tokens that end a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.sources.sampling import sampling_options

# Fields that change which token is taken, or how many are -> values that ask for nothing; None does in all.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "bad_words_ids": ([],),
    "begin_suppress_tokens": ([],),
    "dola_layers": (),
    "encoder_no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1,),
    "exponential_decay_length_penalty": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1,),
    "max_length": (),
    "max_new_tokens": (),
    "max_time": (),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "penalty_alpha": (0,),
    "repetition_penalty": (1,),
    "sequence_bias": ({}, []),
    "stop_strings": ([], ""),
    "suppress_tokens": ([],),
    "token_healing": (False,),
    "watermarking_config": (),
}
# Neutral values of those that count only where do_sample is set, and for which slm generate has no option.
_OTHER_SAMPLING: dict[str, tuple[Any, ...]] = {
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "min_p": (0,),
    "top_h": (),
    "typical_p": (1,),
}
_SHOWN_CHARACTERS = 40
# transformers' own, where do_sample is set and these are not said.
_SAMPLED = {"temperature": 1.0, "top_k": 50, "top_p": 1.0}


def not_applied(fields: Mapping[str, Any]) -> str | None:
    """What ``generate()`` would do otherwise than the artifact's decoding, in words; None where nothing is.

    Args:
        fields: the JSON object.
    """
    samples = fields.get("do_sample") is True
    rules = _NEUTRAL | (_OTHER_SAMPLING if samples else {})
    asked = [
        name
        for name, neutral in rules.items()
        if fields.get(name) is not None and not any(fields[name] == value for value in neutral)
    ]
    options, beyond = sampling_options({**_SAMPLED, **fields}) if samples else ("", [])
    said = []
    if asked or beyond:
        values = ", ".join(f"{name} {_shown(fields[name])}" for name in (*asked, *beyond))
        said.append(f"asks for {values}, which is not applied: texts differ from generate()'s")
    if options:
        said.append(f"samples, which slm generate and slm chat do with {options}")
    return "; ".join(said) or None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
