"""Encode an XNNPACK graph as the bytes that its delegate is initialized with.

ExecuTorch's own encoder resolves the type annotations of every node anew, which costs more than the rest of
the lowering together; the format is the same.
"""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    CONSTANT_TENSOR_ALIGNMENT,
    XNNHeader,
)
from executorch.exir._serialize._flatbuffer import _flatc_compile

from toolkit.export.executorch.memory import aligned

# Fields that may hold one of several tables; the encoding names which one beside them.
_UNIONS = ("xnode_union", "xvalue_union", "quant_params")


def encode(graph: schema.XNNGraph) -> bytes:
    """Header and flatbuffer; constants are in the program's named data."""
    package = resources.files("executorch.backends.xnnpack.serialization")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "graph.fbs")
        source.write_bytes((package / "schema.fbs").read_bytes())
        content = Path(folder, "graph.json")
        content.write_text(json.dumps(graph, default=_table), encoding="utf-8")
        _flatc_compile(folder, str(source), str(content))
        flatbuffer = Path(folder, "graph.bin").read_bytes()
    start = aligned(XNNHeader.EXPECTED_LENGTH, CONSTANT_TENSOR_ALIGNMENT)
    header = XNNHeader(
        flatbuffer_offset=start,
        flatbuffer_size=len(flatbuffer),
        constant_data_offset=start + aligned(len(flatbuffer), CONSTANT_TENSOR_ALIGNMENT),
        constant_data_size=0,
    )
    encoded: bytes = header.to_bytes().ljust(start, b"\0")
    return encoded + flatbuffer.ljust(aligned(len(flatbuffer), CONSTANT_TENSOR_ALIGNMENT), b"\0")


def _table(table: Any) -> dict[str, Any]:
    """A table as JSON; fields left at None keep their defaults."""
    fields = {key: value for key, value in vars(table).items() if value is not None}
    # The compiler wants to know the kind before it reads the value.
    return {f"{key}_type": type(fields[key]).__name__ for key in _UNIONS if key in fields} | fields
