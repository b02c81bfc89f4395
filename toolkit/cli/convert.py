"""`slm convert`: a model becomes an artifact folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.artifacts import default_folder
from toolkit.cli.request_options import takes
from toolkit.cli.tables import line_width, print_folded
from toolkit.export.request import ConvertRequest
from toolkit.progress import remark

if TYPE_CHECKING:
    from toolkit.artifact import Artifact
    from toolkit.evaluate.text import TextFigures


@takes(ConvertRequest)
def convert(
    request: ConvertRequest,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Artifact folder to write. Default: artifacts/MODEL-OPTIONS.",
            rich_help_panel="Output",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing artifact.", rich_help_panel="Output")
    ] = False,
    check_text: Annotated[
        Path | None,
        typer.Option(
            "--check-text",
            help="Compare with the source over this text; see slm evaluate --text.",
            rich_help_panel="Check",
        ),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require", help="A limit that the artifact must keep; may be repeated.", rich_help_panel="Check"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest.", rich_help_panel="Output")
    ] = False,
) -> None:
    """Convert a Hugging Face model to a quantized artifact.

    \b
    Examples:
      slm convert SmolLM2-135M-Instruct
      slm convert Qwen/Qwen3-0.6B --quant 8da4w --group-size 32 --algorithm hqq -o artifacts/qwen3
      slm convert HuggingFaceTB/SmolLM2-360M --quant mobile-4bit --algorithm gptq -o artifacts/smollm2-gptq
      slm convert model.gguf --quant source -o artifacts/model
      slm convert model.gguf -o artifacts/model --check-text book.txt --require "perplexity_ratio <= 1.05"
      slm convert SmolLM2-135M-Instruct -o artifacts/smollm2 --require "arc_easy >= 0.95x source"
      slm convert random:llama-tiny --quant 8da8w -o artifacts/random
    """  # noqa: D301
    import toolkit
    from toolkit import api

    # Before minutes of work.
    api.check_measurable(require or [], text=check_text)
    artifact = toolkit.convert(request, output or default_folder(request), force=force)
    texts = None
    if check_text is not None:
        texts = api.evaluate_text(artifact, check_text, source=request.model)
    if as_json:
        print(artifact.manifest.model_dump_json(by_alias=True, indent=2))
    else:
        _print(artifact, texts)
    for sentence in api.check_requirements(artifact, require or [], source=request.model, texts=texts):
        remark(f"required: {sentence}")


def _print(artifact: Artifact, texts: TextFigures | None) -> None:
    manifest = artifact.manifest
    size = f"{manifest.name}: {manifest.size_bytes / 1e6:.1f} MB in {artifact.path}"
    print_folded(size, width=line_width(), indent="    ")
    if manifest.parity is not None:
        print_folded(
            f"agreement with transformers fp32: top-1 {manifest.parity.top1_agreement:.0%}, "
            f"mean KL {manifest.parity.mean_kl:.3g} nats, max abs diff {manifest.parity.max_abs_diff:.3g}",
            width=line_width(),
            indent="    ",
        )
    if texts is not None:
        from toolkit.cli.evaluate import print_text

        print_text(texts)
    cost = manifest.conversion
    print(f"took {cost.seconds:.1f} s, peak memory {cost.peak_rss_bytes / 1e6:.0f} MB")
