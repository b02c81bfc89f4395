"""ONNX Runtime."""

from __future__ import annotations

from toolkit.engines.spec import Capabilities, EngineSpec, Processor

_GROUP_SIZES = (16, 32, 64, 128, 256, 0)

ONNXRUNTIME = EngineSpec(
    name="onnxruntime",
    title="ONNX Runtime",
    short_name="ort",
    artifact_word="onnx",
    mark="circle",
    package="onnxruntime",
    extra="runner",
    converting_extras=(),
    packages=("onnxruntime", "onnx"),
    # The official builds send usage data by default.
    environment={"ORT_DISABLE_TELEMETRY": "1"},
    model_file="model.onnx",
    capabilities=Capabilities(
        linears={
            "fp32": (),
            "fp16": (),
            "8w": _GROUP_SIZES,
            "8da8w": _GROUP_SIZES,
            "4w": _GROUP_SIZES,
            "8da4w": _GROUP_SIZES,
        },
        embeddings=("fp32", "fp16", "8w", "8da8w", "4w", "8da4w"),
        default_opset=21,
    ),
    processors=(Processor("cpu", "CPUExecutionProvider"),),
    lowering="toolkit.export.onnx.backend:LOWERING",
    decoder="toolkit.inference.onnxruntime_session:OnnxDecoder",
    official_runtime="onnxruntime-genai",
    slow_schemes={"8w": "8da8w"},
)
