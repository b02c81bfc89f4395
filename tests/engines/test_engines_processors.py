"""Processors beyond the CPU: nothing was run on them, and what is said of them is that."""

from __future__ import annotations

import re

import pytest

from toolkit.app.source import app_source
from toolkit.engines import ENGINES
from toolkit.errors import UsageError


@pytest.mark.parametrize("engine", ["onnxruntime", "executorch"])
def test_the_cpu_is_there_by_any_name(engine: str) -> None:
    spec = ENGINES.get(engine)
    spec.check_processor("cpu", None)
    spec.check_processor(spec.processor.name, spec.processor.provider)


@pytest.mark.parametrize(
    ("engine", "processor", "provider", "brought_by"),
    [
        ("onnxruntime", "npu", None, "onnxruntime-android-qnn"),
        ("onnxruntime", "npu", "QNNExecutionProvider", "onnxruntime-android-qnn"),
        ("executorch", "gpu", None, "EXECUTORCH_BUILD_VULKAN"),
        ("executorch", "npu", "QnnBackend", "EXECUTORCH_BUILD_QNN"),
        ("onnxruntime", "gpu", None, None),
        ("executorch", "cpu", "CPUExecutionProvider", None),
    ],
)
def test_what_is_missing_is_named_with_the_library_that_brings_it(
    engine: str, processor: str, provider: str | None, brought_by: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        ENGINES.get(engine).check_processor(processor, provider)
    assert (brought_by or "Models run on cpu") in str(caught.value)
    assert "no model was ever run on it" in str(caught.value) or brought_by is None


def test_the_app_names_the_same_ones() -> None:
    kotlin = (app_source() / "core/src/main/kotlin/slm/toolkit/core/EngineFacts.kt").read_text()
    known = re.findall(r'\(Engine\.(\w+), "(\w+)", "(\w+)", "(.*)"\),$', kotlin, re.MULTILINE)
    specs = [ENGINES.get(name) for name in ("onnxruntime", "executorch")]
    assert known == [
        (spec.name.upper(), one.name, one.provider, one.library)
        for spec in specs
        for one in spec.other_processors
    ]
