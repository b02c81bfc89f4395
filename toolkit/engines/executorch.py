"""ExecuTorch with XNNPACK."""

from __future__ import annotations

from toolkit.engines.spec import Capabilities, EngineSpec, Processor

EXECUTORCH = EngineSpec(
    name="executorch",
    title="ExecuTorch",
    short_name="et",
    artifact_word="executorch",
    mark="triangle-up",
    package="executorch",
    extra="executorch",
    converting_extras=("executorch",),
    packages=("executorch",),
    model_file="model.pte",
    capabilities=Capabilities(
        linears={"fp32": (), "8w": (0,), "8da8w": (0,), "4w": (0,), "8da4w": (32, 64, 128, 256, 0)},
        embeddings=("fp32", "8w", "4w"),
        negative_scales=False,
        asymmetric_channels=False,
        gguf_integers=False,
    ),
    processors=(Processor("cpu", "XnnpackBackend"),),
    lowering="toolkit.export.executorch.backend:LOWERING",
    decoder="toolkit.inference.executorch_session:open_program",
    official_runtime="executorch.extension.llm.runner",
)
