"""Conversions as the tests ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.artifact import Artifact
from toolkit.export.request import ConvertRequest
from toolkit.sources import ModelSource

Convert = Callable[..., Artifact]


def request(source: ModelSource, quant: str = "fp32", **options: Any) -> ConvertRequest:
    return ConvertRequest.of(model=source.name, quant=quant, **options)
