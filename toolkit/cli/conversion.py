"""What `slm convert` does with its flags; loaded only when a conversion starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.artifact import Artifact, check_target
from toolkit.errors import UsageError
from toolkit.export.backends import BackendName
from toolkit.export.flags import label_of, plan_for, plan_of
from toolkit.export.quiet import hush_libraries
from toolkit.settings import Settings


@dataclass(frozen=True)
class Quantization:
    """The flags that decide about quantization, as given."""

    backend: BackendName
    quant: str
    group_size: int | None
    algorithm: str | None
    symmetric: bool | None
    embedding: str | None
    lm_head: str | None


def run_conversion(
    model: str,
    output: Path,
    quantization: Quantization,
    *,
    calibration: Path | None,
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
    # Options are checked before anything is downloaded: this refuses an unknown scheme at once.
    early = plan_of(quantization, tied=False, layers=1)
    if calibration is not None and not early.calibrated:
        raise UsageError("--calibration is for --algorithm gptq; the others need no text")
    hush_libraries()
    from toolkit.export.convert import ConvertOptions, convert
    from toolkit.sources import resolve

    settings = Settings.from_environment()
    source = resolve(model, settings, revision=revision, offline=offline, trust_remote_code=trust_remote_code)
    plan = plan_for(quantization, source.config)
    options = ConvertOptions(
        plan=plan,
        label=label_of(quantization, plan),
        backend=quantization.backend,
        context_length=context,
        logits="all" if all_logits else "last",
        opset=opset,
        calibration=calibration,
        check_parity=parity_check,
    )
    return convert(source, options, output, settings, overwrite=force)
