"""What each layer of a decoder is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheGeometry:
    """One layer's attention; its KV cache holds keys and values of ``kv_heads`` heads per position."""

    heads: int
    kv_heads: int
    head_dim: int
