"""Where the time goes: sums by hand, and a real traced pass."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from executorch_programs import convert

from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.engines import ENGINES
from toolkit.engines.executorch.trace import kind_of as kind_on_executorch
from toolkit.engines.onnxruntime.trace import kind_of as kind_on_onnxruntime
from toolkit.engines.onnxruntime.trace import read_trace
from toolkit.engines.trace import OPERATOR_KINDS, OperatorKind, TracedCall, TracedOperator
from toolkit.errors import ResultInvalid, UsageError
from toolkit.profiling.breakdown import PARTS, Part, Work, breakdown, measurements, part_of
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.session.raw import raw_dir
from toolkit.profiling.session.session import Session, profile
from toolkit.profiling.session.traced_passes import SUMMARY, check_traceable
from toolkit.store.rows import StoredRun

needs_executorch = pytest.mark.skipif(
    find_spec("executorch") is None, reason="the extra [executorch] is not installed"
)


@pytest.mark.parametrize(
    ("name", "operator", "part"),
    [
        ("/embedding/GatherBlockQuantized", "GatherBlockQuantized", "embedding"),
        ("/model.layers.0.self_attn.q_proj/MatMulNBits", "MatMulNBits", "attention"),
        ("/layer.3/GroupQueryAttention", "GroupQueryAttention", "attention"),
        ("/model.layers.0.self_attn.q_norm/Mul", "Mul", "norms"),
        ("/model.layers.1.mlp.act_fn/Sigmoid_2", "Sigmoid", "feed_forward"),
        ("/transformer.h.0.ln_1/LayerNormalization", "LayerNormalization", "norms"),
        ("/transformer.h.0.attn.c_attn/MatMulNBits", "MatMulNBits", "attention"),
        ("/model.layers.0/SkipSimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", "norms"),
        ("/lm_head/MatMulNBits", "MatMulNBits", "lm_head"),
        ("/model.embed_tokens/MatMulNBits", "MatMulNBits", "lm_head"),
        ("/model.embed_tokens/FusedMatMul", "FusedMatMul", "lm_head"),
        ("/lm_head/own FullyConnected", "own FullyConnected", "lm_head"),
        ("/model.embed_tokens/own FullyConnected", "own FullyConnected", "lm_head"),
        ("/model.embed_tokens/embedding_4bit.dtype_out", "embedding_4bit.dtype_out", "embedding"),
        ("/model.layers.2.block_sparse_moe.experts/QMoE", "QMoE", "feed_forward"),
        ("/Shape", "Shape", "other"),
    ],
)
def test_an_operator_s_part_is_in_its_name(name: str, operator: str, part: Part) -> None:
    assert part_of(traced(name, operator, 1)) == part


ON_ONNXRUNTIME: list[tuple[str, OperatorKind]] = [
    ("MatMulNBits", "products"),
    ("DynamicQuantizeMatMul", "products"),
    ("QMoE", "products"),
    ("CausalConvWithState", "products"),
    ("GroupQueryAttention", "attention"),
    ("LinearAttention", "attention"),
    ("SkipSimplifiedLayerNormalization", "norms"),
    ("GatherBlockQuantized", "copies"),
    ("Transpose", "copies"),
    ("Cast", "copies"),
    ("DynamicQuantizeLinear", "quantizing"),
    ("Mul", "elementwise"),
    ("RotaryEmbedding", "elementwise"),
    ("Softmax", "elementwise"),
    ("QuickGelu", "elementwise"),
    ("Shape", "other"),
]
ON_EXECUTORCH: list[tuple[str, OperatorKind]] = [
    ("own FullyConnected", "products"),
    ("Fully Connected (NC, QD8, F32, QB4W) GEMM", "products"),
    ("Batch Matrix Multiply (NC, F32) GEMM", "products"),
    ("llama::custom_sdpa.out", "attention"),
    ("embedding_4bit.dtype_out", "copies"),
    ("llama::update_cache.out", "copies"),
    ("Convert (NC, F32, QD8)", "quantizing"),
    ("Multiply (ND, F32)", "elementwise"),
    ("Binary Elementwise (ND)", "elementwise"),
    ("aten::cat.out", "copies"),
    ("llama::gated_delta_rule.out", "attention"),
    ("own Square", "elementwise"),
    ("aten::sym_size.int", "other"),
]


@pytest.mark.parametrize(
    ("kind_of", "operator", "kind"),
    [
        *((kind_on_onnxruntime, *row) for row in ON_ONNXRUNTIME),
        *((kind_on_executorch, *row) for row in ON_EXECUTORCH),
    ],
)
def test_an_operator_s_kind_is_in_what_its_engine_calls_it(
    kind_of: Callable[[str], OperatorKind], operator: str, kind: OperatorKind
) -> None:
    assert kind_of(operator) == kind


def traced(name: str, operator: str, ns: int) -> TracedOperator:
    """An operator whose name either engine may give it."""
    kinds = {kind_on_onnxruntime(operator), kind_on_executorch(operator)} - {"other"}
    return TracedOperator(name, operator, next(iter(kinds), "other"), ns)


def call(ns: int, *operators: tuple[str, str, int]) -> TracedCall:
    return TracedCall(ns, tuple(traced(*one) for one in operators))


def test_the_last_repetition_counts_and_parts_are_the_whole() -> None:
    work = Work.of(prompt_tokens=5, generate_tokens=3, depth=4, chunk=4)
    assert (work.before, work.prefill, work.decode) == (1, 2, 2)
    slow = call(9000, ("/mlp/MatMul", "MatMul", 9000))
    depth = call(500, ("/mlp/MatMul", "MatMul", 500))
    prompt = call(100, ("/self_attn/MatMul", "MatMul", 60), ("/norm/Mul", "Mul", 20), ("/Shape", "Shape", 5))
    step = call(10, ("/lm_head/MatMul", "MatMul", 12))
    calls = [*[slow] * 5, depth, prompt, prompt, step, step]
    prefill = breakdown(calls, work, "prefill", traced_ns=250, untraced_ns=200.0)
    # Of each call 15 are in no operator; 50 of the phase are in no call.
    nothing = dict.fromkeys(PARTS, 0)
    assert prefill.ns == 250
    assert prefill.parts == nothing | {"attention": 120, "norms": 40, "other": 10, "engine": 30, "runner": 50}
    assert prefill.operators == {"MatMul": 120, "Mul": 40, "Shape": 10, "(engine)": 30, "(runner)": 50}
    # Rounded up by the trace's clock: never more than the whole.
    decode = breakdown(calls, work, "decode", traced_ns=20, untraced_ns=16.0)
    assert decode.ns == 24 and decode.parts == nothing | {"lm_head": 24}
    assert prefill.overhead == pytest.approx(0.25) and decode.overhead == pytest.approx(0.25)
    by_name = {one.name: one.value for one in measurements({"prefill": prefill, "decode": decode})}
    assert by_name["prefill_attention_percent"] == 48 and by_name["decode_trace_overhead_percent"] == 25
    assert by_name["prefill_engine_percent"] == 12 and by_name["prefill_runner_percent"] == 20
    assert by_name["prefill_operators_products_percent"] == 48
    assert by_name["prefill_operators_elementwise_percent"] == 16
    assert by_name["prefill_operators_other_percent"] == pytest.approx(36)


def test_one_generated_token_has_no_decode() -> None:
    work = Work.of(prompt_tokens=4, generate_tokens=1, depth=0, chunk=512)
    assert list(work.phases) == ["prefill"]


def test_a_trace_of_other_work_is_refused() -> None:
    work = Work.of(prompt_tokens=4, generate_tokens=3, depth=0, chunk=512)
    for calls in ([], [call(1)] * 4):
        with pytest.raises(ResultInvalid, match="calls"):
            breakdown(calls, work, "decode", traced_ns=1, untraced_ns=1.0)


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"cat": "Session", "name": "model_run"}]', "[1]", "null"])
def test_a_damaged_trace_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text(text)
    try:
        assert read_trace(file) == []
    except ResultInvalid as error:
        assert "trace" in str(error)


def test_an_engine_without_a_trace_is_refused_before_anything_is_pushed() -> None:
    ENGINES.register("traceless", dataclasses.replace(ENGINES.get("onnxruntime"), trace=None))
    try:
        with pytest.raises(UsageError, match="--breakdown"):
            check_traceable("traceless", "shell")
    finally:
        ENGINES.unregister("traceless")
    with pytest.raises(UsageError, match="--breakdown"):
        check_traceable("onnxruntime", "app")


def test_a_run_is_broken_down_beside_its_timed_repetitions(
    local: LocalDevice, artifact: Artifact, session: Session
) -> None:
    options = ProfileRequest.of(
        prompt_tokens=8, generate_tokens=4, depth=5, repetitions=2, warmup=0, gate="off", breakdown=True
    )
    stored = profile(local, artifact, options, session)
    assert len(stored.repetitions) == 2
    # Of its nodes made by hand, few have names.
    assert_broken_down(stored, session, parts=("attention",))


@needs_executorch
@pytest.mark.timeout(300)
def test_programs_are_broken_down_on_own_kernels_and_on_the_engine_s(
    local: LocalDevice, tmp_path: Path, session: Session
) -> None:
    artifact = convert("random:llama-tiny", tmp_path / "a", "--quant", "8da4w", "--no-parity-check")
    for kernels in ("own:portable", "engine"):
        options = ProfileRequest.of(
            prompt_tokens=40, generate_tokens=4, depth=5, gate="off", breakdown=True, kernels=kernels
        )
        stored = profile(local, artifact, options, session)
        assert (stored.run.kernels or "").startswith("own:") == (kernels != "engine")
        # XNNPACK's profiler counts in microseconds, which is more than some parts of a tiny model take.
        parts = PARTS if kernels != "engine" else ("attention", "engine", "runner")
        summary = assert_broken_down(stored, session, parts)
        if kernels != "engine":
            assert (stored.measured("decode_operators_products_percent") or 0) > 0
        products = {kind for kind in summary["decode"]["operators"] if "Connected" in kind}
        assert products and all(kind.startswith("own") == (kernels != "engine") for kind in products)


@needs_executorch
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["onnxruntime", "executorch"])
def test_parts_of_a_real_size_agree_with_the_untraced_pass(
    backend: str, local: LocalDevice, tmp_path: Path, session: Session
) -> None:
    flags = ("--quant", "8da4w", "--no-parity-check", "--backend", backend)
    artifact = convert("random:SmolLM2-135M", tmp_path / "a", *flags)
    options = ProfileRequest.of(
        prompt_tokens=64, generate_tokens=32, repetitions=3, gate="off", breakdown=True, threads=2
    )
    stored = profile(local, artifact, options, session)
    # All that ONNX Runtime has of this model is in a module.
    summary = assert_broken_down(stored, session, [part for part in PARTS if part != "other"])
    raw = raw_dir(session.settings, stored.run.id)
    for phase in ("prefill", "decode"):
        whole = {
            name: phase_ns(raw / f"{name}.jsonl", phase)
            for name in (f"{kind}-{number}" for kind in ("untraced", "traced") for number in (1, 2, 3))
        }
        untraced_ns = median(ns for name, ns in whole.items() if name.startswith("untraced"))
        traced_ns = median(ns for name, ns in whole.items() if name.startswith("traced"))
        overhead = (stored.measured(f"{phase}_trace_overhead_percent") or 0) / 100
        found = summary[phase]
        assert found["ns"] == whole[found["pass"]] == traced_ns
        assert untraced_ns * (1 + overhead) == pytest.approx(traced_ns)
        # What the engine's profile leaves between operators, and the runner's clock between calls.
        trace = raw / f"{found['pass']}-trace.json"
        calls = {"onnxruntime": calls_of_a_profile, "executorch": calls_of_events}[backend](trace)
        calls = calls[-31:] if phase == "decode" else calls[-32:-31]
        assert found["parts"]["engine"] == sum(ns - inside for ns, inside in calls)
        assert found["parts"]["runner"] == traced_ns - sum(ns for ns, _ in calls)
        # Nothing of a decoder is outside its modules but shapes and masks.
        assert (stored.measured(f"{phase}_other_percent") or 0) < 5


def phase_ns(result: Path, phase: str) -> int:
    """Of the last repetition in the runner's own records."""
    records = map(json.loads, result.read_text().splitlines())
    last = [record for record in records if record["record"] == "repetition"][-1]
    return int(last["prefill_ns"]) if phase == "prefill" else sum(last["decode_ns"])


def calls_of_a_profile(trace: Path) -> list[tuple[int, int]]:
    """Of each call of ONNX Runtime's session its time, and that of its kernels."""
    events = json.loads(trace.read_text())
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    return [
        (
            1000 * run["dur"],
            1000 * sum(one["dur"] for one in kernels if run["ts"] <= one["ts"] < run["ts"] + run["dur"]),
        )
        for run in events
        if run["name"] == "model_run"
    ]


def calls_of_events(trace: Path) -> list[tuple[int, int]]:
    """Of each call of ExecuTorch's method its time, and that of its instructions and nodes."""
    _, *calls = map(json.loads, trace.read_text().splitlines())
    return [(call["ns"], sum(event[-1] for event in call["events"])) for call in calls]


def assert_broken_down(stored: StoredRun, session: Session, parts: Sequence[Part] = PARTS) -> dict[str, Any]:
    for phase in ("prefill", "decode"):
        shares = {part: stored.measured(f"{phase}_{part}_percent") or 0 for part in PARTS}
        assert sum(shares.values()) == pytest.approx(100)
        assert all(shares[part] > 0 for part in parts)
        kinds = {kind: stored.measured(f"{phase}_operators_{kind}_percent") for kind in OPERATOR_KINDS}
        assert None not in kinds.values() and sum(map(float, filter(None, kinds.values()))) == pytest.approx(
            100
        )
        assert stored.measured(f"{phase}_trace_overhead_percent") is not None
    summary: dict[str, Any] = json.loads((raw_dir(session.settings, stored.run.id) / SUMMARY).read_text())
    assert sum(summary["decode"]["operators"].values()) == summary["decode"]["ns"]
    # Every operator of the engines has its kind; what makes up shapes and masks may have none.
    kind_of = {"onnxruntime": kind_on_onnxruntime, "executorch": kind_on_executorch}[stored.artifact.backend]
    unknown = {name for one in summary.values() for name in one["operators"] if kind_of(name) == "other"}
    assert unknown <= {"(engine)", "(runner)", "Shape", "aten::sym_size.int", "aten::_local_scalar_dense"}
    return summary
