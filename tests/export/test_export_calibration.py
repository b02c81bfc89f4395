"""Conversions that are calibrated on a text."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conversions import Convert, request
from test_export_failures import run_cli

from toolkit.calibration import texts as calibration_texts
from toolkit.calibration.matrices import calibrate
from toolkit.capture.cached import cached_capture
from toolkit.capture.patches import register_attention
from toolkit.capture.patterns import linear_matrix
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.compress.quantize import quantize
from toolkit.errors import UsageError
from toolkit.export.quantization import plan_for
from toolkit.inference.reference import streamed_logits
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve


@pytest.fixture(autouse=True)
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for models this small."""
    monkeypatch.setattr(calibration_texts, "GENERATED_TEXTS", 16)
    monkeypatch.setattr(calibration_texts, "GENERATED_TOKENS", 16)


class Calibrated:
    """Reads weights as a calibrated artifact would hold them."""

    def __init__(self, source: ModelSource, restored: dict[str, torch.Tensor]) -> None:
        self._weights, self._restored = source.weights, restored

    def read(self, name: str) -> torch.Tensor:
        return self._restored[name] if name in self._restored else self._weights.read(name)

    def read_blocks(self, name: str) -> None:
        return None


@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
def test_every_linear_is_quantized_for_its_inputs(
    model_type: str, settings: Settings, tmp_path: Path
) -> None:
    source = resolve(f"random:{model_type}-tiny", settings)
    register_attention()
    skeleton = build_skeleton(source.config)
    graph, _ = cached_capture(skeleton, source.config, settings.cache_dir)
    tied, plan = tied_names(skeleton), plan_for(request(source, "8da4w", algorithm="gptq"), source.config)
    model = build_skeleton(source.config)
    vocabulary, generator = source.config.vocab_size, torch.Generator().manual_seed(1)
    ids = torch.randint(vocabulary, (8, 64), generator=generator).tolist()

    done = calibrate(model, graph, source.weights, plan, tied, ids, tmp_path, lambda done, total: None)

    matrices = [linear_matrix(graph, tied, op) for op in graph.ops if op.target == "aten.linear"]
    assert set(done) == {matrix.name for matrix in matrices}
    plain = plan.linear.model_copy(update={"algorithm": "hqq"})
    calibrated, uncalibrated = {}, {}
    for matrix in matrices:
        # The look-up of a tied table stays exact here: calibration is about products.
        if matrix.role == "linear":
            rounded = quantize(matrix.read(source.weights), plain, subject=matrix.name)
            for tensors, tensor in ((calibrated, done[matrix.name]), (uncalibrated, rounded)):
                restored = tensor.dequantize()
                tensors[matrix.name] = restored.t() if matrix.transposed else restored
    expected = streamed_logits(model, source.weights, tied, ids)
    errors = [
        (streamed_logits(model, Calibrated(source, tensors), tied, ids) - expected).square().mean()
        for tensors in (calibrated, uncalibrated)
    ]
    assert 0 < errors[0] < 0.95 * errors[1]


def test_an_artifact_is_calibrated_on_text_that_the_model_writes(convert_model: Convert) -> None:
    artifact = convert_model("random:llama-tiny", "8da4w", algorithm="gptq")
    assert artifact.manifest.quantization.linear.algorithm == "gptq"
    assert artifact.manifest.parity is not None and artifact.manifest.parity.passed
    assert all(entry.path.count("/") == 0 for entry in artifact.manifest.files), "scratch files are gone"


def test_generated_texts_are_always_the_same(settings: Settings) -> None:
    source = resolve("random:llama-tiny", settings)
    model = build_skeleton(source.config)
    texts = [
        calibration_texts.generated(
            model, source.weights, tied_names(model), source.config.vocab_size, lambda done, total: None
        )
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert {len(text) for text in texts[0]} == {16} and len({tuple(text) for text in texts[0]}) == 16


def test_a_text_that_is_too_short_is_refused(
    convert_model: Convert, settings: Settings, tmp_path: Path
) -> None:
    text = tmp_path / "short.txt"
    text.write_text("Too short to learn anything from.")
    with pytest.raises(UsageError, match="tokens are too few"):
        convert_model("random:llama-tiny", "8da4w", algorithm="gptq", calibration=text)
    with pytest.raises(UsageError, match="no such file"):
        convert_model("random:llama-tiny", "8da4w", algorithm="gptq", calibration=tmp_path / "none.txt")
    assert list(tmp_path.iterdir()) == [text]


def test_a_calibration_text_without_gptq_is_refused(tmp_path: Path) -> None:
    result = run_cli(
        "random:llama-tiny", "-o", str(tmp_path / "a"), "--calibration", "text.txt", home=tmp_path
    )
    assert result.returncode == UsageError.exit_code and "--calibration is for" in result.stderr
