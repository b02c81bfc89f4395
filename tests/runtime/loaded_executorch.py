"""Imports ExecuTorch where it is installed.

It and torchao call deprecated functions meanwhile, and in tests warnings are errors; ours stay so.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec

if find_spec("executorch") is not None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import executorch.backends.xnnpack
        import executorch.extension.llm.custom_ops.custom_ops
        import executorch.extension.llm.runner
        import executorch.kernels.quantized  # noqa: F401
