"""Names of algorithms, for whoever must not load torch; a test keeps them equal to the registries'."""

from __future__ import annotations

ALGORITHM_NAMES = ("rtn", "hqq")
CALIBRATED_ALGORITHM_NAMES = ("gptq",)
