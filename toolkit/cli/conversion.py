"""What `slm convert` does with its flags; loaded only when a conversion starts."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from unittest import mock

from toolkit.artifact import Artifact, check_target
from toolkit.compress.plan import QuantizationPlan, plan_from_flags
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import UsageError
from toolkit.export.backends import BackendName
from toolkit.export.executorch.schemes import adapt, check_supported
from toolkit.settings import Settings


def run_conversion(
    model: str,
    output: Path,
    *,
    backend: BackendName,
    quant: str,
    group_size: int | None,
    algorithm: str | None,
    calibration: Path | None,
    symmetric: bool | None,
    embedding: str | None,
    lm_head: str | None,
    context: int | None,
    opset: int | None,
    all_logits: bool,
    revision: str | None,
    offline: bool,
    trust_remote_code: bool,
    parity_check: bool,
    force: bool,
) -> Artifact:
    """Resolve the model, build the plan and convert.

    Raises:
        ToolkitError: anything a user can cause; see toolkit.errors.
    """
    check_target(output, overwrite=force)

    def plan_for(*, tied: bool, layers: int) -> QuantizationPlan:
        plan = plan_from_flags(
            quant,
            group_size=group_size,
            algorithm=algorithm,
            symmetric=symmetric,
            embedding=embedding,
            lm_head=lm_head,
            tied=tied,
            layers=layers,
        )
        if backend != "executorch":
            return plan
        plan = adapt(plan, keep_groups=group_size is not None, keep_grid=symmetric is not None)
        check_supported(plan)
        return plan

    # Options are checked before anything is downloaded: this refuses an unknown scheme at once.
    early = plan_for(tied=False, layers=1)
    if calibration is not None and not early.calibrated:
        raise UsageError("--calibration is for --algorithm gptq; the others need no text")
    _quiet_libraries()
    from toolkit.export.convert import ConvertOptions, convert
    from toolkit.sources import resolve

    settings = Settings.from_environment()
    source = resolve(model, settings, revision=revision, offline=offline, trust_remote_code=trust_remote_code)
    plan = plan_for(
        tied=bool(getattr(source.config, "tie_word_embeddings", False)),
        layers=source.config.num_hidden_layers,
    )
    options = ConvertOptions(
        plan=plan,
        label=_label(quant, plan.linear.group_size, plan.linear.algorithm),
        backend=backend,
        context_length=context,
        logits="all" if all_logits else "last",
        opset=opset,
        calibration=calibration,
        check_parity=parity_check,
    )
    return convert(source, options, output, settings, overwrite=force)


def _label(quant: str, group_size: int | None, algorithm: str) -> str:
    """Names the quantization in the artifact's name; a preset's name says it all."""
    if group_size is None or quant not in SCHEMES:
        return quant
    return f"{quant}-{f'g{group_size}' if group_size else 'channel'}-{algorithm}"


def _quiet_libraries() -> None:
    """Libraries warn on import about things that a user of this command cannot act on."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("torch").setLevel(logging.ERROR)
    logging.getLogger("torchao").setLevel(logging.ERROR)
    _hide_torchao()


def _hide_torchao() -> None:
    """Keep transformers from importing torchao, which ExecuTorch brings along: seconds, for nothing."""
    from transformers.utils import is_torchao_available

    # transformers asks once and remembers the answer.
    with mock.patch.dict(sys.modules, {"torchao": None}):
        is_torchao_available()
