"""ExecuTorch with XNNPACK."""

from __future__ import annotations

from toolkit.engines.executorch.storage import STORAGE
from toolkit.engines.spec import Capabilities, EngineSpec, InApp, Processor, Runner

# What a decoder needs; the wheel holds other backends as well.
_LIBRARIES = (
    "libexecutorch.so",
    "libexecutorch_threadpool.so",
    "libexecutorch_kernels_optimized.so",
    "libexecutorch_kernels_quantized.so",
    "libexecutorch_backend_xnnpack.so",
)

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
    storage=STORAGE,
    model_file="model.pte",
    capabilities=Capabilities(
        linears={"fp32": (), "8w": (0,), "8da8w": (0,), "4w": (0,), "8da4w": (32, 64, 128, 256, 0)},
        embeddings=("fp32", "8w", "4w"),
        negative_scales=False,
        asymmetric_channels=False,
        gguf_integers=False,
    ),
    processor=Processor("cpu", "XnnpackBackend"),
    other_processors=(
        Processor("gpu", "VulkanBackend", "ExecuTorch built with EXECUTORCH_BUILD_VULKAN=ON"),
        Processor("npu", "QnnBackend", "ExecuTorch built with EXECUTORCH_BUILD_QNN=ON"),
    ),
    lowering="toolkit.export.executorch.backend:LOWERING",
    decoder="toolkit.engines.executorch.session:open_program",
    official_runtime="executorch.extension.llm.runner",
    trace="toolkit.engines.executorch.trace:read_trace",
    runner=Runner(
        program="slm-runner-et",
        libraries={name: f"executorch/lib/{name}" for name in _LIBRARIES},
        # The wheel carries headers and CMake targets of the same version.
        taken=("executorch/include/", "executorch/lib/", "executorch/share/cmake/"),
        wheels={
            ("1.5.1", "arm64-v8a"): "2c177f7922354a8a0d6111628c954519b87549598640e5e0042bef137b4cb83c",
        },
        definitions={
            "SLM_ENGINE_ONNXRUNTIME": "OFF",
            "SLM_ENGINE_EXECUTORCH": "ON",
            "CMAKE_PREFIX_PATH": "{site}/executorch",
        },
    ),
    in_app=InApp(library="slm_et"),
)
