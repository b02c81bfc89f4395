"""Writes another engine's format under a name of its own."""

import os
from pathlib import Path

from made_up_engine import ENGINE
from toolkit.export.lowering import LoweredModel, LoweringJob
from toolkit.export.onnx.export import write_onnx


class MadeUpLowering:
    def opset(self, asked: int | None) -> int | None:
        return 21

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        assert os.environ["MADE_UP_QUIET"] == "1"
        model = write_onnx(folder, job)
        (folder / "model.onnx").rename(folder / ENGINE.model_file)
        return model


LOWERING = MadeUpLowering()
