from pathlib import Path

from toolkit.engines.onnxruntime.session import OnnxDecoder


def open_model(model: Path, capacity: int) -> OnnxDecoder:
    assert model.name == "model.mu"
    return OnnxDecoder(model, capacity)
