"""Decoders of models that also see or hear, where transformers has no language model of the decoder alone.

Qwen2-VL's text decoder, say, is ``Qwen2VLTextModel``; the output matrix belongs to the model that also sees.
Here the two become a causal language model whose parameters have the usual names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import UnsupportedModel

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# How transformers' own constructors fail on a config that lacks something, or that they have no model for.
BUILDING_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    ImportError,
    RuntimeError,
)


def register_text_decoder(decoder: PretrainedConfig, whole: PretrainedConfig) -> None:
    """Make ``AutoModelForCausalLM`` know the text decoder of a larger model, if transformers has its body.

    Args:
        decoder: what ``whole.get_text_config(decoder=True)`` gives.
        whole: the config of the model that it belongs to; the same where there is none.
    """
    from transformers import AutoModelForCausalLM

    # A config that is whole itself describes all that there is, unless it names itself somebody's text part.
    part = decoder is not whole or decoder.model_type.endswith("_text")
    if not part or whole.is_encoder_decoder or type(decoder) in AutoModelForCausalLM._model_mapping:
        return
    body = _body_class(decoder, whole)
    if body is not None:
        model = _with_output_matrix(body, type(decoder))
        # Without exist_ok, transformers passes over models for config classes of its own.
        AutoModelForCausalLM.register(type(decoder), model, exist_ok=True)


def _body_class(decoder: PretrainedConfig, whole: PretrainedConfig) -> Any | None:
    """The class of the decoder without its output matrix; None where transformers has none."""
    import torch
    from transformers import AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM

    if type(decoder) in AutoModel._model_mapping:
        found = AutoModel._model_mapping[type(decoder)]
        return found[0] if isinstance(found, list | tuple) else found
    for auto in (AutoModelForMultimodalLM, AutoModelForImageTextToText):
        if type(whole) in auto._model_mapping:
            try:
                with torch.device("meta"):
                    body = auto.from_config(whole).get_decoder()
            except BUILDING_ERRORS as error:
                raise UnsupportedModel(
                    f"transformers cannot build the {whole.model_type!r} model that holds the text decoder "
                    f"{decoder.model_type!r} from this config ({type(error).__name__}: {str(error)[:160]})",
                    subject=whole.name_or_path or whole.model_type,
                    next_step="Check the config, its parts for pictures or sound included.",
                ) from None
            return type(body) if isinstance(getattr(body, "config", None), type(decoder)) else None
    return None


def _with_output_matrix(body: Any, config_class: type[PretrainedConfig]) -> Any:
    from torch import nn
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutputWithPast

    base: Any = next(kind for kind in body.__mro__[1:] if issubclass(kind, PreTrainedModel))

    class TextDecoder(base):  # type: ignore[misc]
        base_model_prefix = "model"
        _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.model = body(config)
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
            self.post_init()

        def get_input_embeddings(self) -> Any:
            return self.model.get_input_embeddings()

        def get_output_embeddings(self) -> Any:
            return self.lm_head

        def forward(
            self, input_ids: Any, position_ids: Any = None, use_cache: bool | None = None, **kwargs: Any
        ) -> Any:
            out = self.model(
                input_ids=input_ids,
                position_ids=position_ids,
                use_cache=use_cache,
                past_key_values=kwargs.get("past_key_values"),
            )
            logits = self.lm_head(out.last_hidden_state)
            return CausalLMOutputWithPast(logits=logits, past_key_values=out.past_key_values)

    TextDecoder.config_class = config_class
    TextDecoder.__name__ = TextDecoder.__qualname__ = f"{body.__name__}ForCausalLM"
    # Whoever asks which code the model is made of, or swaps attention in it, finds the body's.
    TextDecoder.__module__ = body.__module__
    return TextDecoder
