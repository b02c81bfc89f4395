"""Mode profile of the real runner, on a decoder whose tokens are known."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from runner_process import Runner
from tiny_decoder import HIDDEN, VOCAB, TinyDecoder

from toolkit.profiling.records import parse_result
from toolkit.runtime.bundle import Bundle

PROMPT = [3, 77, 210, 5, 9, 12, 300, 1, 2, 44]


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text(" ".join(map(str, PROMPT)))
    return path


def profile(model: Path, output: Path, *more: str | Path, repetitions: int = 2) -> list[str | Path]:
    return [
        *("profile", "--model", model, "--run-id", "r1", "--output", output, "--threads", "2"),
        *("--prompt-tokens", "40", "--generate-tokens", "6", "--repetitions", str(repetitions), *more),
    ]


VARIANTS = {
    "rotary": TinyDecoder(),
    "position_ids": TinyDecoder(position_ids=True),
    "all_logits": TinyDecoder(all_logits=True),
    "float16": TinyDecoder(half=True),
    "float16_all_logits": TinyDecoder(half=True, all_logits=True),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_tokens_equal_numpy_for_every_chunk_size(
    runner: Runner, prompt: Path, tmp_path: Path, variant: str
) -> None:
    decoder = VARIANTS[variant]
    model = decoder.save(tmp_path / "model")
    expected = decoder.greedy(PROMPT, 24)
    continuation = tmp_path / "continuation.txt"
    continuation.write_text(" ".join(map(str, expected)))
    reference = ("--reference-prompt", prompt, "--reference-continuation", continuation)
    for chunk in ("1", "3", "512"):
        output = tmp_path / f"result-{chunk}"
        done = runner(*profile(model, output, *reference, "--prefill-chunk", chunk))
        assert done.returncode == 0, done.stderr
        greedy = parse_result(output.read_text(), run_id="r1", subject="test").greedy
        assert greedy is not None
        assert greedy.prompt_ids == PROMPT
        assert greedy.token_ids == expected


def test_result_is_whole_and_says_how_it_was_made(runner: Runner, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "result"
    done = runner(
        *profile(model, output, "--depth", "30", "--warmup", "2", "--prefill-chunk", "16", "--affinity", "0")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == output.read_text()
    assert list(tmp_path.iterdir()) == [output]
    result = parse_result(done.stdout, run_id="r1", subject="test")
    start = result.start
    assert (start.mode, start.engine, start.threads, start.affinity) == ("profile", "onnxruntime", 2, [0])
    assert (start.prompt_tokens, start.generate_tokens, start.depth) == (40, 6, 30)
    assert (start.prefill_chunk, start.context_length) == (16, 1024)
    assert (start.warmup, start.repetitions) == (2, 2)
    assert start.load_ns > 0
    assert all(step > 0 for repetition in result.repetitions for step in repetition.decode_ns)
    memory = result.memory
    assert memory.after_load_bytes and memory.peak_bytes >= memory.after_load_bytes > 10_000_000
    assert memory.vm_hwm_bytes and memory.max_rss_swap_bytes
    assert memory.peak_bytes == max(memory.vm_hwm_bytes, memory.max_rss_swap_bytes)
    assert memory.samples > 1


def test_context_length_is_refused_before_anything_runs(runner: Runner, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "result"
    exactly = ("--depth", str(1024 - 46))
    assert runner(*profile(model, output, *exactly)).returncode == 0
    output.unlink()
    done = runner(*profile(model, output, "--depth", str(1024 - 45)))
    assert done.returncode == 6
    assert "need 1025 positions, the context length is 1024" in done.stderr
    assert done.stdout == ""
    assert not output.exists()


def test_models_without_a_context_length_need_the_flag(runner: Runner, tmp_path: Path) -> None:
    model = TinyDecoder(context_length=None).save(tmp_path / "model")
    done = runner(*profile(model, tmp_path / "result"))
    assert done.returncode == 5
    assert "pass --context" in done.stderr
    assert runner(*profile(model, tmp_path / "result", "--context", "64")).returncode == 0


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (["--model", "/absent"], 4, "/absent"),
        (["--engine-library", "/absent.so"], 3, "/absent.so"),
        (["--engine-library", "libm.so.6"], 3, "libm.so.6: is not ONNX Runtime"),
        (["--output", "/absent/result"], 8, "/absent/result.part: cannot be written"),
        (["--prompt-tokens", "0"], 2, "--prompt-tokens: '0' is not an integer of at least 1"),
        (["--run-id", "a b"], 2, "--run-id"),
        (["--wrong", "1"], 2, "unknown flag '--wrong'"),
        (["--affinity", "900"], 9, "--affinity: "),
        (["--affinity", "1000000"], 9, "--affinity: there is no CPU 1000000"),
        (["--threads", "2000"], 10, "--threads: 2000 threads are more than the 1024 of any device"),
        (["--kernels", "theirs"], 2, "kernels 'theirs': own, engine, or own:SET is meant"),
        (["--kernels", "own:theirs"], 11, "this CPU cannot run the kernels own:theirs; it can run own:"),
        (
            ["--reference-prompt", "/absent.txt", "--reference-continuation", "/absent.txt"],
            2,
            "/absent.txt: cannot be read",
        ),
        (["--reference-prompt", "/absent.txt"], 2, "go together"),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(
    runner: Runner, model: Path, tmp_path: Path, change: list[str], code: int, message: str
) -> None:
    flags = {"--model": str(model), "--output": str(tmp_path / "result")}
    flags |= dict(zip(change[::2], change[1::2], strict=True))
    done = runner("profile", *(part for flag in flags.items() for part in flag))
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.startswith("slm-runner-ort: error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_damaged_models_cannot_be_loaded(runner: Runner, decoder: TinyDecoder, tmp_path: Path) -> None:
    model = decoder.save(tmp_path / "model")
    (model / "model.onnx").write_bytes((model / "model.onnx").read_bytes()[:1000])
    assert runner(*profile(model, tmp_path / "result")).returncode == 4


def test_models_that_are_no_decoders_are_not_understood(runner: Runner, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", value[:1], value[1:])
    path = tmp_path / "neg.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    done = runner(*profile(path, tmp_path / "result"))
    assert done.returncode == 5
    assert "x is float32 [ 1 ], expected only input_ids" in done.stderr


def test_reference_tokens_outside_the_vocabulary_are_refused(
    runner: Runner, model: Path, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text(f"1 {VOCAB}")
    reference = ("--reference-prompt", ids, "--reference-continuation", ids)
    done = runner(*profile(model, tmp_path / "result", *reference))
    assert done.returncode == 2
    assert "outside the vocabulary" in done.stderr


def test_the_reference_is_fed_whatever_the_model_prefers(
    runner: Runner, decoder: TinyDecoder, model: Path, prompt: Path, tmp_path: Path
) -> None:
    wrong = [(token + 1) % VOCAB for token in decoder.greedy(PROMPT, 6)]
    continuation = tmp_path / "continuation.txt"
    continuation.write_text(" ".join(map(str, wrong)))
    output = tmp_path / "result"
    reference = ("--reference-prompt", prompt, "--reference-continuation", continuation)
    assert runner(*profile(model, output, *reference)).returncode == 0
    greedy = parse_result(output.read_text(), run_id="r1", subject="test").greedy
    assert greedy is not None
    assert greedy.token_ids == [decoder.greedy(PROMPT + wrong[:index], 1)[0] for index in range(6)]


def test_a_full_disk_is_an_output_error(runner: Runner, model: Path, tmp_path: Path) -> None:
    (tmp_path / "result.part").symlink_to("/dev/full")
    done = runner(*profile(model, tmp_path / "result"))
    assert done.returncode == 8
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_run_without_an_end_record(
    bundle: Bundle, model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "result"
    arguments = profile(model, output, repetitions=1_000_000)
    command = [*bundle.command(str(bundle.path)), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["record"] == "start"
        process.send_signal(number)
        rest, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"stopped by signal {number.value}" in error
    assert '"record":"end"' not in rest
    assert not output.exists()
    assert (tmp_path / "result.part").exists()


def test_engine_options_reach_the_engine(runner: Runner, model: Path, tmp_path: Path) -> None:
    spinning = ("--engine-option", "session.intra_op.allow_spinning=0")
    assert runner(*profile(model, tmp_path / "result", *spinning)).returncode == 0
    refused = ("--engine-option", "session.intra_op_thread_affinities=nonsense")
    assert runner(*profile(model, tmp_path / "result2", *refused)).returncode == 4


def with_head(path: Path, *, accuracy_level: int) -> Path:
    """The decoder with 4-bit weights in its head, of activations as floats (0) or as bytes (4)."""
    TinyDecoder().save(path)
    model = onnx.load(path / "model.onnx")
    head = next(node for node in model.graph.node if node.output[0] == "logits")
    head.op_type, head.domain = "MatMulNBits", "com.microsoft"
    head.input[1] = "head_values"
    head.input.append("head_scales")
    for name, value in {
        "N": VOCAB, "K": HIDDEN, "bits": 4, "block_size": 32, "accuracy_level": accuracy_level,
    }.items():  # fmt: skip
        head.attribute.append(helper.make_attribute(name, value))
    values = np.random.default_rng(3).integers(0, 256, (VOCAB, HIDDEN // 32, 16), np.uint8)
    scales = np.full(VOCAB * HIDDEN // 32, 0.1, np.float32)
    model.graph.initializer.extend(
        [numpy_helper.from_array(values, "head_values"), numpy_helper.from_array(scales, "head_scales")]
    )
    onnx.save_model(model, path / "model.onnx", save_as_external_data=True, location="model.onnx.data")
    return path


def smooth(path: Path) -> Path:
    model = onnx.load(path / "model.onnx")
    for node in model.graph.node:
        if node.op_type == "GroupQueryAttention":
            node.attribute.append(helper.make_attribute("smooth_softmax", 1))
    onnx.save_model(model, path / "model.onnx", save_as_external_data=True, location="model.onnx.data")
    return path


@pytest.mark.parametrize(
    ("accuracy_level", "changed", "kernels"),
    [(4, False, "own:"), (0, False, "own-attention:"), (4, True, "own-matmul:"), (0, True, "engine")],
)
def test_what_the_kernels_cover_is_known_before_the_model_is_loaded(
    runner: Runner, tmp_path: Path, accuracy_level: int, changed: bool, kernels: str
) -> None:
    model = with_head(tmp_path / "model", accuracy_level=accuracy_level)
    if changed:
        smooth(model)
    done = runner(*profile(model, tmp_path / "result", "--trace", tmp_path / "trace", repetitions=1))
    assert done.returncode == 0, done.stderr
    assert parse_result(done.stdout, run_id="r1", subject="test").start.kernels.startswith(kernels)
    # The engine writes one file for each session that it begins, also for those that it gives up.
    assert len(list(tmp_path.glob("trace*"))) == 1


def computed_scales(path: Path) -> Path:
    """The head's scales are computed from the tokens: attributes are covered, the weights are not."""
    model = onnx.load(with_head(path, accuracy_level=4) / "model.onnx")
    head = next(node for node in model.graph.node if node.output[0] == "logits")
    head.input[2] = "computed_scales"
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    at = list(model.graph.node).index(head)
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Add", ["head_scales", "nothing"], ["computed_scales"]),
    ]
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    onnx.save_model(model, path / "model.onnx", save_as_external_data=True, location="model.onnx.data")
    return path


def test_loading_is_timed_from_the_attempt_that_succeeds(
    bundle: Bundle, programs: Path, tmp_path: Path
) -> None:
    """Both operators are tried, then products alone, then attention alone."""
    done = subprocess.run(
        [
            programs / "onnxruntime_load",
            computed_scales(tmp_path / "model"),
            bundle.path / "lib" / "libonnxruntime.so.1",
            tmp_path / "trace",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    started_unix_ns, kernels = done.stdout.split()
    assert kernels.startswith("own-attention:")
    *failed, _ = sorted(path.stat().st_mtime_ns for path in tmp_path.glob("trace*"))
    assert len(failed) == 2
    assert int(started_unix_ns) >= failed[-1]
