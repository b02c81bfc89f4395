"""`slm convert`: a model becomes an artifact folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Backend(StrEnum):
    """The engine that the artifact is made for."""

    onnxruntime = "onnxruntime"
    executorch = "executorch"


class Logits(StrEnum):
    """Which positions the model answers for."""

    last = "last"
    all = "all"


def convert(
    model: Annotated[
        str,
        typer.Argument(
            help="Hub id, folder, .gguf file, or random:NAME | random:config.json.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Artifact folder to write.")],
    backend: Annotated[Backend, typer.Option(help="Engine to convert for.")] = Backend.onnxruntime,
    quant: Annotated[
        str,
        typer.Option(
            "--quant", help="Scheme (fp32 fp16 8w 8da8w 4w 8da4w), a preset, or 'source' (GGUF only)."
        ),
    ] = "8da4w",
    group_size: Annotated[
        int | None, typer.Option(help="16 to 256, 0 for one scale per output channel. Default: 32.")
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(help="rtn, hqq, or gptq (calibrated). Default: hqq.")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Text file that gptq calibrates with. Default: text that the model writes.",
            show_default=False,
        ),
    ] = None,
    symmetric: Annotated[
        bool | None,
        typer.Option("--symmetric/--asymmetric", help="Asymmetric stores a zero point per group."),
    ] = None,
    embedding: Annotated[str | None, typer.Option(help="Scheme of the token embedding.")] = None,
    lm_head: Annotated[str | None, typer.Option(help="Scheme of the output projection.")] = None,
    context: Annotated[
        int | None, typer.Option(help="Tokens of prompt and answer. Default: 4096 or the model's limit.")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="ONNX operator set. Default: 21.")] = None,
    logits: Annotated[Logits, typer.Option(help="'all' is for evaluation.")] = Logits.last,
    revision: Annotated[str | None, typer.Option(help="Hub revision.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use caches only.")] = False,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Allow the model's own Python code and pickle weights."),
    ] = False,
    parity_check: Annotated[
        bool, typer.Option(help="Fail when the artifact disagrees with transformers.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing artifact.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    """Convert a Hugging Face model to a quantized artifact for ONNX Runtime or ExecuTorch.

    \b
    Examples:
      slm convert SmolLM2-135M-Instruct -o artifacts/smollm2
      slm convert Qwen/Qwen3-0.6B --quant 8da4w --group-size 32 --algorithm hqq -o artifacts/qwen3
      slm convert HuggingFaceTB/SmolLM2-360M --quant mobile-4bit --algorithm gptq -o artifacts/smollm2-gptq
      slm convert model.gguf --quant source -o artifacts/model
      slm convert SmolLM2-135M-Instruct --backend executorch --quant 8da4w -o artifacts/smollm2-et
      slm convert random:llama-tiny --quant 8da8w -o artifacts/random
    """  # noqa: D301
    from toolkit.cli.conversion import Quantization, run_conversion

    artifact = run_conversion(
        model,
        output,
        Quantization(backend.value, quant, group_size, algorithm, symmetric, embedding, lm_head),
        calibration=calibration,
        context=context,
        opset=opset,
        all_logits=logits is Logits.all,
        revision=revision,
        offline=offline,
        trust_remote_code=trust_remote_code,
        parity_check=parity_check,
        force=force,
    )
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
    cost = manifest.conversion
    print(f"took {cost.seconds:.1f} s, peak memory {cost.peak_rss_bytes / 1e6:.0f} MB")
