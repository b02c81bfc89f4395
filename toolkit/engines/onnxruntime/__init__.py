"""ONNX Runtime."""

from __future__ import annotations

from toolkit.engines.onnxruntime.storage import STORAGE
from toolkit.engines.spec import AndroidFiles, Capabilities, EngineSpec, InApp, Processor, Runner

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
    storage=STORAGE,
    trace="toolkit.engines.onnxruntime.trace:read_trace",
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
        # onnx itself is ahead of it by sets that are not released yet.
        newest_opset=26,
    ),
    processor=Processor("cpu", "CPUExecutionProvider"),
    other_processors=(Processor("npu", "QNNExecutionProvider", "onnxruntime-android-qnn"),),
    lowering="toolkit.export.onnx.backend:LOWERING",
    decoder="toolkit.engines.onnxruntime.session:OnnxDecoder",
    official_runtime="onnxruntime-genai",
    runner=Runner(
        program="slm-runner-ort",
        # The runner opens it by its soname; the file's own name ends with the whole version.
        libraries={"libonnxruntime.so.1": "onnxruntime/capi/libonnxruntime.so.*"},
        taken=(
            "onnxruntime/LICENSE",
            "onnxruntime/ThirdPartyNotices.txt",
            "onnxruntime/capi/libonnxruntime.so.",
        ),
        wheels={
            ("1.31.1", "arm64-v8a"): "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        },
        definitions={"ORT_INCLUDE_DIR": "{headers}"},
        headers="toolkit.engines.onnxruntime.headers:headers_for",
    ),
    in_app=InApp(
        library="slm_ort",
        android=AndroidFiles(
            headers="toolkit.engines.onnxruntime.android:headers",
            libraries="toolkit.engines.onnxruntime.android:libraries",
        ),
    ),
    slow_schemes={"8w": "8da8w"},
    older_end_tokens=("genai_config.json", ("model", "eos_token_id")),
)
