"""Calibration of models whose layers run several times, and of those that give no cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversions_of_families import tiny_source

from toolkit.calibration import texts as calibration_texts
from toolkit.calibration.matrices import calibrate
from toolkit.capture.cached import cached_capture
from toolkit.capture.patterns import linear_matrix
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.export.quantization import plan_for
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings


@pytest.mark.filterwarnings("ignore")
def test_a_matrix_of_a_layer_that_runs_again_is_its_own(tmp_path: Path, settings: Settings) -> None:
    source = tiny_source("hrm_text", tmp_path, settings)
    model = build_skeleton(source.config)
    graph, _ = cached_capture(model, source.config, settings.cache_dir)
    tied = tied_names(model)
    request = ConvertRequest.of(model=source.name, quant="8da4w", algorithm="gptq", backend="onnxruntime")
    told: list[tuple[int, int]] = []

    done = calibrate(
        model,
        graph,
        source.weights,
        plan_for(request, source.config),
        tied,
        [list(range(3, 51)), list(range(100, 148))],
        tmp_path,
        lambda *progress: told.append(progress),
    )

    runs = [linear_matrix(graph, tied, op) for op in graph.ops if op.target == "aten.linear"]
    assert len(runs) > len(done), "layers run several times"
    for matrix in runs:
        weight = matrix.read(source.weights)
        restored = done[matrix.name].dequantize()
        assert restored.shape == weight.shape
        assert (restored - weight).norm() < 0.3 * weight.norm(), matrix.name
    assert told[-1] == (len(done), len(done)) and len(told) == len(done)


@pytest.mark.parametrize(
    ("name", "read"), [("falcon_mamba", [1] * 7), ("recurrent_gemma", list(range(1, 8)))]
)
@pytest.mark.filterwarnings("ignore")
def test_a_model_without_keys_and_values_writes_texts_that_follow_from_all_before(
    name: str, read: list[int], tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_texts, "GENERATED_TEXTS", 4)
    monkeypatch.setattr(calibration_texts, "GENERATED_TOKENS", 8)
    source = tiny_source(name, tmp_path, settings)
    model = build_skeleton(source.config)
    seen: list[int] = []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))

    def generated() -> list[list[int]]:
        return calibration_texts.generated(
            model, source.weights, tied_names(model), source.config.vocab_size, lambda done, total: None
        )

    texts = generated()
    assert [len(text) for text in texts] == [8] * 4
    assert seen == read, "a model that gives its state reads each token once"
    monkeypatch.setattr(calibration_texts, "_STATES", ())
    assert generated() == texts
