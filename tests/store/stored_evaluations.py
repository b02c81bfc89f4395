"""Evaluations to put into a store."""

from __future__ import annotations

from toolkit.store.rows import Evaluation, Score

# Of an artifact that has no run.
EVALUATION = Evaluation(
    id="e1",
    created_unix_ns=1,
    toolkit_version="0.1.0",
    name="m",
    model="m",
    artifact_sha256="a" * 64,
    backend="onnxruntime",
    quantization="8da4w g32",
    size_bytes=92_000_000,
    place="local",
    place_identity="here",
    item_limit=None,
    seed=1,
    truncated=False,
    versions={"lm-eval": "0.4.13"},
)

SCORE = Score("piqa", "1", 0, "acc", "none", 0.5, 0.01, 100, True, "b" * 64)
