"""docs/reference/support.md: what the tests of model types run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .markdown import NOTE

ROOT = Path(__file__).resolve().parents[2]

_BACKENDS = {"tests/export/": "onnxruntime", "tests/export_executorch/": "executorch"}
_PARITY = "test_quantized_artifacts_stay_close_to_transformers"
_FP32 = "test_fp32_logits_equal_transformers_over_prefill_and_decode"
_MODEL_TYPE_TESTS = (
    "tests/export/test_export_model_types.py",
    "tests/export_executorch/test_executorch_model_types.py",
)
# Collecting needs neither, and their imports take longer than all else.
_NOT_NEEDED = ("--noconftest", "-p", "no:hypothesispytest")


def collected_tests() -> list[str]:
    """Ids of the model-type tests that `make test` runs, as pytest itself lists them."""
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not soak", *_NOT_NEEDED]
    done = subprocess.run(
        [*collect, *_MODEL_TYPE_TESTS],
        cwd=ROOT,
        # Whatever the user adds to pytest's options changes what it prints.
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"pytest cannot collect the model-type tests:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def support(tests: Sequence[str]) -> str:
    """Model types by backend and scheme, from the tests' ids."""
    tested: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for test in tests:
        backend = next(name for folder, name in _BACKENDS.items() if test.startswith(folder))
        function, _, parameters = test.rpartition("::")[2].rstrip("]").partition("[")
        if function == _FP32:
            tested[parameters][backend].append("fp32")
        elif function == _PARITY:
            scheme, _, model_type = parameters.partition("-")
            tested[model_type][backend].append(scheme)
    lines = [
        NOTE,
        "# What is tested\n",
        "Schemes in which every `make test` converts a small random model of the type and compares it with "
        "transformers: fp32 logits within 1e-3 over a prefill and 8 decode steps, quantized ones by the "
        "parity limits of their scheme. Other schemes are tested on single model types only.\n",
        "| model type | " + " | ".join(_BACKENDS.values()) + " |",
        "| --- |" + " --- |" * len(_BACKENDS),
    ]
    for model_type, backends in tested.items():
        cells = (", ".join(backends[name]) or "-" for name in _BACKENDS.values())
        lines.append(f"| {model_type} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
