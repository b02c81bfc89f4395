"""Reading traces of ExecuTorch's calls, written out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolkit.engines.executorch.trace import read_trace
from toolkit.engines.trace import TracedOperator
from toolkit.errors import ResultInvalid

TABLE = {
    "modules": ["embed", "norm", "q_proj", "attn"],
    "instructions": [
        ["quantized_decomposed::embedding_byte.dtype_out", 0],
        ["aten::sym_size.int", 3],
        [["Square", 1], ["Convert", 2], ["FullyConnected", 2], ["StaticSlice", 3], ["Concatenate2", 3]],
    ],
}


def write(path: Path, table: object, *calls: list[list[object]]) -> Path:
    lines = [{"format": "slm-trace/1", "operators": table}, *({"ns": 100, "events": call} for call in calls)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_kernels_and_own_nodes_are_what_the_program_says(tmp_path: Path) -> None:
    events = [
        [0, -1, "native_call_embedding_byte.dtype_out", 7],
        [1, -1, "OPERATOR_CALL", 1],
        [2, 0, "own", 2],
        [2, 2, "own", 5],
    ]
    (call,) = read_trace(write(tmp_path / "trace", TABLE, events))
    assert call.ns == 100
    assert call.operators == (
        TracedOperator("/embed/embedding_byte.dtype_out", "embedding_byte.dtype_out", "copies", 7),
        TracedOperator("/attn/aten::sym_size.int", "aten::sym_size.int", "other", 1),
        TracedOperator("/norm/own Square", "own Square", "elementwise", 2),
        TracedOperator("/q_proj/own FullyConnected", "own FullyConnected", "products", 5),
    )


def test_what_xnnpack_reports_finds_its_nodes_although_it_drops_and_adds_some(tmp_path: Path) -> None:
    reported = [
        "Square (NC) #1",
        "Fully Connected (NC, QDU8, F32, QB4W) GEMM #1",
        "Mystery (NC) #1",
        "Slice (ND, X32) #1",
        "Copy (NC, X32) #1",
    ]
    events: list[list[object]] = [[2, node, kind, 3] for node, kind in enumerate(reported)]
    (call,) = read_trace(write(tmp_path / "trace", TABLE, events))
    assert [operator.name for operator in call.operators] == [
        "/norm/Square (NC)",
        "/q_proj/Fully Connected (NC, QDU8, F32, QB4W) GEMM",
        "//Mystery (NC)",
        "/attn/Slice (ND, X32)",
        "/attn/Copy (NC, X32)",
    ]


def test_programs_of_before_have_operators_without_modules(tmp_path: Path) -> None:
    events: list[list[object]] = [
        [0, -1, "llama::custom_sdpa.out", 7],
        [2, 0, "own", 2],
        [3, 0, "Add (ND) #3", 2],
    ]
    (call,) = read_trace(write(tmp_path / "trace", None, events))
    assert [operator.name for operator in call.operators] == [
        "//llama::custom_sdpa.out",
        "//own kernels",
        "//Add (ND)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": "slm-trace/2", "operators": null}',
        '{"format": "slm-trace/1", "operators": []}\n{"ns": 1, "events": [[0, -1, "x", 1]]}\n{"ns": 1, "ev',
        '{"format": "slm-trace/1", "operators": {"modules": []}}',
        '{"format": "slm-trace/1", "operators": null}\n{"ns": 1, "events": [[0]]}',
        '{"format": "slm-trace/1", "operators": {"modules": [], "instructions": [["a", 4]]}}\n'
        '{"ns": 1, "events": [[0, -1, "x", 1]]}',
    ],
)
def test_a_damaged_trace_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text(text)
    with pytest.raises(ResultInvalid, match="trace"):
        read_trace(file)


def test_a_library_that_reports_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultInvalid, match="reports no operators"):
        read_trace(write(tmp_path / "trace", TABLE, [], []))
