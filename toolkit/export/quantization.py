"""What a request says about quantization: a plan that the engine can run, and a label."""

from __future__ import annotations

from typing import Any

from toolkit.compress.adaptation import adapt, check_supported
from toolkit.compress.plan import QuantizationPlan, plan_from_flags
from toolkit.compress.schemes import SCHEMES
from toolkit.engines import ENGINES
from toolkit.errors import UsageError
from toolkit.export.request import ConvertRequest


def check_request(request: ConvertRequest) -> None:
    """Refuse what no model could be quantized with, before anything is downloaded.

    Raises:
        CompressError: an unknown scheme, or a combination that cannot be done.
        UsageError: a calibration text for an algorithm that needs none.
    """
    plan = plan_of(request, tied=False)
    if request.calibration is not None and not plan.calibrated:
        raise UsageError(
            "--calibration is for --algorithm gptq; the others need no text",
            next_step="Leave out --calibration, or pass --algorithm gptq.",
        )


def plan_for(request: ConvertRequest, config: Any) -> QuantizationPlan:
    """The quantization plan that a request stands for, within what its engine can do.

    Args:
        request: as given.
        config: the model's transformers configuration.

    Raises:
        CompressError: a combination that cannot be done.
    """
    tied = bool(getattr(config, "tie_word_embeddings", False))
    return plan_of(request, tied=tied)


def label_of(request: ConvertRequest, plan: QuantizationPlan) -> str:
    """Names the quantization in the artifact's name; a preset's name says it all."""
    group_size = plan.linear.group_size
    wide = "".join(f"-8bit-{word}" for word in _words(request.eight_bit))
    if group_size is None or request.quant not in SCHEMES:
        return request.quant + wide
    return f"{request.quant}-{f'g{group_size}' if group_size else 'channel'}-{plan.linear.algorithm}{wide}"


def plan_of(request: ConvertRequest, *, tied: bool) -> QuantizationPlan:
    """As :func:`plan_for`, for a model of which no more is known.

    Args:
        request: as given.
        tied: embedding and output projection are one matrix.
    """
    plan = plan_from_flags(
        request.quant,
        group_size=request.group_size,
        algorithm=request.algorithm,
        symmetric=request.symmetric,
        embedding=request.embedding,
        lm_head=request.lm_head,
        eight_bit=_words(request.eight_bit),
        tied=tied,
    )
    return _adapted(plan, request)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _adapted(plan: QuantizationPlan, request: ConvertRequest) -> QuantizationPlan:
    """The plan as the engine runs it: what was not asked for may be what suits it better."""
    engine = ENGINES.get(request.backend)
    plan = adapt(
        plan,
        engine.capabilities,
        keep_groups=request.group_size is not None,
        keep_grid=request.symmetric is not None,
    )
    check_supported(plan, engine)
    return plan
