"""Values of every kind of GGUF blocks that is read, against llama.cpp's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from toolkit.sources.gguf.header import read_header
from toolkit.sources.gguf.tensors import TENSOR_NAMES
from toolkit.sources.gguf.weights import GgufWeights

KNOWN: dict[str, Any] = json.loads((Path(__file__).parent / "llama_cpp_blocks.json").read_text())["types"]


# Random bytes are infinite scales here and there.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KNOWN)
def test_blocks_have_the_values_that_llama_cpp_gives_them(kind: str, tmp_path: Path) -> None:
    raw = np.frombuffer(bytes.fromhex(KNOWN[kind]["blocks"]), np.uint8).reshape(1, -1)
    path = tmp_path / "blocks.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    block_type = gguf.GGMLQuantizationType[kind]
    writer.add_tensor("token_embd.weight", raw, raw_dtype=block_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    name = "model.embed_tokens.weight"
    weights = GgufWeights(read_header(path), TENSOR_NAMES["llama"], [name], query_heads=1, key_heads=1)
    values = weights.read(name).numpy().reshape(-1)
    assert (
        len(values) * gguf.GGML_QUANT_SIZES[block_type][1] == raw.size * gguf.GGML_QUANT_SIZES[block_type][0]
    )
    content = np.nan_to_num(values, nan=0.0).astype("<f4").tobytes()
    assert hashlib.sha256(content).hexdigest() == KNOWN[kind]["values"]
