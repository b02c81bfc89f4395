"""States of every kind are bound as the model declares them, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hybrid_decoder import STATES, HybridDecoder
from onnx import TensorProto, helper
from runner_process import Runner

from toolkit.engines.onnxruntime.session import OnnxDecoder
from toolkit.profiling.records import parse_result

PROMPT = [5, 17, 30, 2, 41, 90, 8, 8, 1, 60]
COUNT = 24


@pytest.fixture(scope="module")
def hybrid() -> HybridDecoder:
    return HybridDecoder()


@pytest.fixture(scope="module")
def model(hybrid: HybridDecoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hybrid.save(tmp_path_factory.mktemp("hybrid") / "model")


@pytest.mark.parametrize("chunk", ["1", "3", "512"])
@pytest.mark.parametrize("kernels", ["own", "engine"])
def test_greedy_tokens_equal_numpy_whatever_the_states_are(
    runner: Runner, hybrid: HybridDecoder, model: Path, tmp_path: Path, chunk: str, kernels: str
) -> None:
    prompt = tmp_path / "ids.txt"
    prompt.write_text(" ".join(map(str, PROMPT)))
    flags = ("--max-tokens", str(COUNT), "--prefill-chunk", chunk, "--kernels", kernels)
    done = runner("generate", "--model", model, "--prompt-file", prompt, *flags)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in records if one["record"] == "token"] == hybrid.greedy(PROMPT, COUNT)


def test_every_repetition_begins_with_empty_states(
    runner: Runner, hybrid: HybridDecoder, model: Path, tmp_path: Path
) -> None:
    expected = hybrid.greedy(PROMPT, COUNT)
    for name, ids in {"prompt": PROMPT, "continuation": expected}.items():
        (tmp_path / name).write_text(" ".join(map(str, ids)))
    output = tmp_path / "result"
    done = runner(
        *("profile", "--model", model, "--run-id", "r", "--output", output, "--repetitions", "2"),
        *("--prompt-tokens", "9", "--generate-tokens", "4", "--depth", "5"),
        *("--reference-prompt", tmp_path / "prompt", "--reference-continuation", tmp_path / "continuation"),
    )
    assert done.returncode == 0, done.stderr
    greedy = parse_result(output.read_text(), run_id="r", subject="test").greedy
    assert greedy is not None and greedy.token_ids == expected


def test_info_lists_the_states_in_order(runner: Runner, model: Path) -> None:
    facts = json.loads(runner("info", "--model", model).stdout)["model"]
    types = {
        TensorProto.FLOAT: "float32",
        TensorProto.FLOAT16: "float16",
        TensorProto.INT64: "int64",
        TensorProto.INT8: "int8",
    }
    expected = [
        {"name": name, "type": types[kind], "shape": [-1 if size is None else size for size in shape]}
        for name, (kind, shape) in STATES.items()
    ]
    assert facts["states"] == expected
    assert facts["layers"] == 5
    # They differ, so none is told.
    assert (facts["kv_heads"], facts["head_dim"]) == (0, 0)


def test_the_host_binds_them_alike(hybrid: HybridDecoder, model: Path) -> None:
    decoder = OnnxDecoder(model / "model.onnx", 64)
    for _ in range(2):
        logits = decoder.step(PROMPT[:4])
        for token in PROMPT[4:]:
            logits = decoder.step([token])
        tokens = []
        for _ in range(COUNT):
            tokens.append(int(logits[-1].argmax()))
            logits = decoder.step(tokens[-1:])
        assert tokens == hybrid.greedy(PROMPT, COUNT)
        decoder.reset()


def two_lengths(model: onnx.ModelProto) -> None:
    model.graph.input[2].type.tensor_type.shape.dim[3].dim_param = "other"


def batches(model: onnx.ModelProto) -> None:
    model.graph.input[2].type.tensor_type.shape.dim[0].dim_value = 2


def no_output(model: onnx.ModelProto) -> None:
    [output] = [one for one in model.graph.output if one.name == "present.0.key"]
    model.graph.output.remove(output)


def unknown_appended(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {"slm.appended_states": "3.latent,9.latent"})


def fixed_appended(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {"slm.appended_states": "1.convolution"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (two_lengths, "past_key_values.0.key is float32 [ 1 1 -1 -1 ], expected a state"),
        (batches, "expected a state"),
        (no_output, "past_key_values.0.key has no output present.0.key"),
        (unknown_appended, "metadata slm.appended_states: '9.latent' is no state that grows"),
        (fixed_appended, "metadata slm.appended_states: '1.convolution' is no state that grows"),
    ],
)
def test_states_that_cannot_be_bound_are_named(
    runner: Runner, model: Path, tmp_path: Path, damage: Callable[[onnx.ModelProto], None], message: str
) -> None:
    content = onnx.load_model(model / "model.onnx")
    damage(content)
    onnx.save_model(content, tmp_path / "model.onnx")
    done = runner("info", "--model", tmp_path)
    assert done.returncode == 5, (done.returncode, done.stderr)
    assert message in done.stderr
