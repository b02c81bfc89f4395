"""`slm convert`: a model becomes an artifact folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.artifacts import default_folder
from toolkit.cli.request_options import takes
from toolkit.export.request import ConvertRequest

if TYPE_CHECKING:
    from toolkit.artifact import Manifest


@takes(ConvertRequest)
def convert(
    request: ConvertRequest,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Artifact folder to write. Default: artifacts/MODEL-OPTIONS."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing artifact.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    """Convert a Hugging Face model to a quantized artifact for an inference engine.

    \b
    Examples:
      slm convert SmolLM2-135M-Instruct
      slm convert Qwen/Qwen3-0.6B --quant 8da4w --group-size 32 --algorithm hqq -o artifacts/qwen3
      slm convert HuggingFaceTB/SmolLM2-360M --quant mobile-4bit --algorithm gptq -o artifacts/smollm2-gptq
      slm convert model.gguf --quant source -o artifacts/model
      slm convert random:llama-tiny --quant 8da8w -o artifacts/random
    """  # noqa: D301
    import toolkit

    artifact = toolkit.convert(request, output or default_folder(request), force=force)
    manifest = artifact.manifest
    if as_json:
        print(manifest.model_dump_json(by_alias=True, indent=2))
        return
    print(f"{manifest.name}: {manifest.size_bytes / 1e6:.1f} MB in {artifact.path}")
    if manifest.parity is not None:
        print(
            f"agreement with transformers fp32: top-1 {manifest.parity.top1_agreement:.0%}, "
            f"mean KL {manifest.parity.mean_kl:.3g} nats, max abs diff {manifest.parity.max_abs_diff:.3g}"
        )
    print(f"verdict: {_verdict(manifest)}")
    cost = manifest.conversion
    print(f"took {cost.seconds:.1f} s, peak memory {cost.peak_rss_bytes / 1e6:.0f} MB")


def _verdict(manifest: Manifest) -> str:
    from toolkit.evaluate.verdict import verdict

    if manifest.parity is None:
        return "none: not compared with the original (--no-parity-check)"
    found = verdict(manifest.parity)
    random = "; random weights, so this says nothing about a trained model"
    return f"{found.word} - {found.meaning}{random if manifest.source.kind == 'random' else ''}"
