"""The runner's own kernels in the place of XNNPACK's, on programs as they are converted."""

from __future__ import annotations

import copy
import json
import os
import platform
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from compiled_programs import TESTS, compile_programs
from executorch.exir.scalar_type import ScalarType
from executorch.exir.schema import Tensor
from numpy.typing import NDArray
from runner_process import Runner
from transformers_reference import MODEL_TYPES

from toolkit.artifact import Artifact
from toolkit.capture.graph import SEQUENCE
from toolkit.export.executorch.program import Constant, Method
from toolkit.export.executorch.segments import Segments
from toolkit.export.executorch.xnnpack import Filter, Node, XnnpackGraph

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere XNNPACK keeps its delegates"),
]

# Long enough for blocks of tokens on two threads, then decoding, then a few tokens at once.
LENGTHS = (45, 1, 1, 1, 7, 1)

Logits = Callable[..., torch.Tensor]


@pytest.fixture
def logits(programs: Path) -> Logits:
    """Logits [calls, vocabulary] of a model after each of some calls, and whose kernels they came from."""

    def run(
        artifact: Artifact,
        kernels: str,
        *,
        threads: int = 2,
        lengths: Sequence[int] = LENGTHS,
        ran_on: str | None = None,
    ) -> torch.Tensor:
        vocabulary = artifact.manifest.architecture.vocab_size
        tokens: NDArray[np.int64] = np.random.default_rng(3).integers(3, vocabulary, sum(lengths))
        command = [programs / "executorch_logits", artifact.path / "model.pte", kernels, threads, *lengths]
        finished = subprocess.run(
            list(map(str, command)), input=tokens.tobytes(), capture_output=True, timeout=120
        )
        assert finished.returncode == 0, finished.stderr.decode()
        whose = finished.stderr.decode().strip()
        assert whose == kernels or whose.startswith(f"{kernels}:") or ran_on == whose, whose
        return torch.frombuffer(bytearray(finished.stdout), dtype=torch.float32).view(-1, vocabulary)

    return run


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("quant", ["8da8w", "8da4w", "mobile-4bit"])
def test_own_kernels_compute_what_xnnpack_does(
    model_type: str, quant: str, convert_model: Callable[..., Artifact], logits: Logits
) -> None:
    artifact = convert_model(f"random:{model_type}-tiny", quant, parity_check=False)
    theirs, ours = logits(artifact, "engine"), logits(artifact, "own")
    # The same weights; XNNPACK rounds activations with a scale per token, the runner with one per 32 columns.
    assert relative_difference(ours, theirs) < 0.05
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("model_type", ["llama", "qwen3", "gemma3"])
def test_neither_threads_nor_the_way_of_feeding_change_the_result(
    model_type: str, convert_model: Callable[..., Artifact], logits: Logits
) -> None:
    artifact = convert_model(f"random:{model_type}-tiny", "8da4w", parity_check=False)
    one_by_one = logits(artifact, "own", threads=1, lengths=(1,) * 60)
    for threads, lengths in ((1, (60,)), (2, (60,)), (2, (1,) * 60), (3, (17, 43)), (4, (33, 1, 26))):
        fed = logits(artifact, "own", threads=threads, lengths=lengths)
        ends = np.cumsum(lengths) - 1
        torch.testing.assert_close(fed, one_by_one[ends], atol=2e-4, rtol=2e-4)


def test_a_named_set_runs_delegates_and_attention(
    convert_model: Callable[..., Artifact], logits: Logits, et_runner: Runner
) -> None:
    sets = json.loads(et_runner("info").stdout)["kernel_sets"]
    assert sets[-1] == "own:portable"
    artifact = convert_model("random:llama-tiny", "8da4w", parity_check=False)
    fastest = logits(artifact, "own")
    torch.testing.assert_close(logits(artifact, sets[0]), fastest, atol=0, rtol=0)
    for name in sets[1:]:
        slower = logits(artifact, name)
        assert 0 < relative_difference(slower, fastest) < 0.02
    # Nothing but the attention is the runner's here.
    plain = convert_model("random:llama-tiny", "fp32", parity_check=False)
    theirs = logits(plain, "engine")
    named = logits(plain, "own:portable", ran_on="own-attention:portable")
    assert relative_difference(named, theirs) < 1e-4
    if len(sets) > 1:
        assert not torch.equal(named, theirs)


@pytest.mark.parametrize("quant", ["fp32", "8w"])
def test_float_activations_are_left_to_xnnpack(
    quant: str, convert_model: Callable[..., Artifact], programs: Path
) -> None:
    artifact = convert_model("random:llama-tiny", quant, parity_check=False)
    command = [str(programs / "executorch_logits"), str(artifact.path / "model.pte"), "own", "1", "1"]
    finished = subprocess.run(command, input=np.array([5]).tobytes(), capture_output=True, timeout=120)
    assert finished.returncode == 0
    assert finished.stderr.decode().strip() == "engine"


CONFIGS = Path(__file__).parents[1] / "families" / "configs"


def test_latent_attentions_products_of_floats_leave_the_other_delegates_to_the_runner(
    convert_model: Callable[..., Artifact],
    logits: Logits,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delegates: list[tuple[set[str], bytes]] = []
    encode = XnnpackGraph.payload

    def recorded(graph: XnnpackGraph, outputs: Sequence[Node]) -> bytes:
        delegates.append(({kind for kind, _ in graph.operators}, encode(graph, outputs)))
        return delegates[-1][1]

    monkeypatch.setattr(XnnpackGraph, "payload", recorded)
    artifact = convert_model(f"random:{CONFIGS / 'minicpm3.json'}", "8da4w", parity_check=False)
    # In front of three layers' attentions and behind the last one, and the output projection.
    rounding = [encoded for kinds, encoded in delegates if "Convert" in kinds]
    assert len(rounding) == 5 and delegate_answers(programs, rounding) == ["ran"] * 5
    assert sum("BatchMatrixMultiply" in kinds for kinds, _ in delegates) == 2 * 3
    assert relative_difference(logits(artifact, "own"), logits(artifact, "engine")) < 0.05


def payload(folder: Path) -> bytes:
    """A delegate with every kind of node that the runner covers."""
    with Segments(folder) as segments:
        graph = XnnpackGraph(segments, longest=20, context_length=20)
        states = graph.input((1, SEQUENCE, 64))
        other = graph.input((1, SEQUENCE, 4, 16))
        norm = graph.weighted_sum(graph.unary("Square", states), np.full(64, 1 / 64, np.float32), 1e-5)
        scaled = graph.binary("Multiply", states, graph.unary("ReciprocalSquareRoot", norm))
        grouped = Filter("grouped", 64 * 64 // 2, 64, 64, 4, 2, True)
        wide = Filter("wide", 64 * 96, 96, 64, 8, 0, True)
        heads = graph.reshape(graph.linear(scaled, grouped, None), (1, SEQUENCE, 4, 16))
        turned = graph.concatenate(graph.columns(heads, 8, 16), graph.columns(heads, 0, 8))
        gate = graph.linear(scaled, wide, np.zeros(96, np.float32))
        gate = graph.binary("Add", graph.unary("Sigmoid", gate), graph.unary("Tanh", gate))
        gate = graph.binary("Div", graph.unary("Gelu", gate), graph.scalar(2.0))
        mixed = graph.binary("Subtract", graph.binary("Maximum", turned, other), other)
        return graph.payload([mixed, gate])


def delegate_answers(programs: Path, payloads: Sequence[bytes], threads: int = 2) -> list[str]:
    fed = b"".join(struct.pack("<q", len(each)) + each for each in payloads)
    command = [str(programs / "executorch_delegates"), str(threads)]
    finished = subprocess.run(command, input=fed, capture_output=True, timeout=300)
    assert finished.returncode == 0, (finished.returncode, finished.stdout[-200:], finished.stderr[-500:])
    return finished.stdout.decode(errors="replace").splitlines()


def test_every_kind_of_node_runs(programs: Path, tmp_path: Path) -> None:
    assert delegate_answers(programs, [payload(tmp_path)]) == ["ran"]


# By the name in XNNPACK's schema; of two operands where the function takes two.
ON_ELEMENTS: dict[str, Callable[..., torch.Tensor]] = {
    "Add": torch.add,
    "Subtract": torch.sub,
    "Multiply": torch.mul,
    "Div": torch.div,
    "Maximum": torch.maximum,
    "Sigmoid": torch.sigmoid,
    "Square": torch.square,
    "ReciprocalSquareRoot": torch.rsqrt,
    "Gelu": torch.nn.functional.gelu,
    "Tanh": torch.tanh,
}
OF_TWO = ("Add", "Subtract", "Multiply", "Div", "Maximum")


def test_operators_on_elements_compute_what_their_names_say(programs: Path, tmp_path: Path) -> None:
    rows = 20
    with Segments(tmp_path) as segments:
        graph = XnnpackGraph(segments, longest=rows, context_length=rows)
        left, right = graph.input((1, SEQUENCE, 64)), graph.input((1, SEQUENCE, 64))
        # Without a product the graph would not be the runner's.
        outputs = [graph.linear(left, Filter("wide", 64 * 96, 96, 64, 8, 0, True), None)]
        for name in ON_ELEMENTS:
            one = graph.binary(name, left, right) if name in OF_TWO else graph.unary(name, right)
            outputs.append(one)
        whole = graph.payload(outputs)
    given = torch.randn((2, rows * 64), generator=torch.Generator().manual_seed(5))
    given[1] = given[1].abs() + 0.1
    fed = struct.pack("<q", len(whole)) + whole + given.numpy().tobytes()
    command = [str(programs / "executorch_delegates"), "2", "values"]
    finished = subprocess.run(command, input=fed, capture_output=True, timeout=60, check=True)
    word, *numbers = finished.stdout.decode().split()
    assert word == "ran" and len(numbers) == rows * (96 + 64 * len(ON_ELEMENTS))
    values = torch.tensor([float(one) for one in numbers[rows * 96 :]], dtype=torch.float64).view(
        -1, rows * 64
    )
    for (name, function), computed in zip(ON_ELEMENTS.items(), values, strict=True):
        operands = given.double() if name in OF_TWO else given.double()[1:]
        torch.testing.assert_close(computed, function(*operands), atol=1e-6, rtol=4e-6, msg=name)


def broken_payloads(folder: Path, seed: int, count: int) -> list[bytes]:
    """A delegate with up to three bytes changed, and two that end too early."""
    whole = payload(folder)
    generator = np.random.default_rng(seed)
    broken = []
    for _ in range(count):
        bytes_ = bytearray(whole)
        for place in generator.integers(0, len(whole), generator.integers(1, 4)):
            bytes_[place] = generator.integers(0, 256)
        broken.append(bytes(bytes_))
    return [*broken, whole[: len(whole) // 2], b""]


def test_a_broken_graph_is_left_to_the_engine(programs: Path, tmp_path: Path) -> None:
    answers = delegate_answers(programs, broken_payloads(tmp_path, seed=11, count=1500))
    # Some bytes matter to nobody. All others are seen before anything is run.
    assert len(answers) == 1500 + 2
    assert len(set(answers)) > 10 and "ran" in answers and "ran" not in answers[-2:]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_broken_graphs_stay_in_their_memory(tmp_path: Path) -> None:
    build = compile_programs(
        tmp_path,
        "executorch_delegates",
        engines=["executorch"],
        SLM_SANITIZE="address,undefined",
        CMAKE_BUILD_TYPE="Debug",
    )
    sanitized = build / TESTS
    for seed in range(10):
        delegate_answers(sanitized, broken_payloads(tmp_path, seed=100 + seed, count=1500))


def spoil_type(tensor: Tensor) -> None:
    tensor.scalar_type = ScalarType.HALF


def spoil_rank(tensor: Tensor) -> None:
    tensor.sizes, tensor.dim_order = tensor.sizes[1:], [0, 1]


def spoil_size(tensor: Tensor) -> None:
    tensor.sizes[-1] -= 1


def spoil_order(tensor: Tensor) -> None:
    tensor.dim_order = [0, 2, 1]


SPOILS = (spoil_type, spoil_rank, spoil_size, spoil_order)


def spoiled_programs(
    spoils: Sequence[Callable[[Tensor], None]],
    folder: Path,
    convert_model: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> list[Path]:
    """Programs of one model whose logits are another tensor than the last delegate writes."""
    write = Method.write
    paths = [folder / f"spoiled-{number}.pte" for number in range(len(spoils))]

    def write_all(method: Method, path: Path, constants: Mapping[str, Constant]) -> None:
        # The logits: kernels between the delegates check their inputs, nothing checks these.
        value = method._values[method._outputs[0]]
        whole = value.val
        for spoil, spoiled in zip(spoils, paths, strict=True):
            value.val = copy.deepcopy(whole)
            spoil(value.val)
            write(method, spoiled, constants)
        value.val = whole
        write(method, path, constants)

    monkeypatch.setattr(Method, "write", write_all)
    convert_model("random:llama-tiny", "8da4w", parity_check=False)
    return paths


def logits_of(program: Path, executable: Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    tokens: NDArray[np.int64] = np.arange(3, 12)
    command = [str(executable), str(program), "own", "2", "9"]
    return subprocess.run(
        command, input=tokens.tobytes(), capture_output=True, timeout=120, env={**os.environ, **environ}
    )


def test_an_output_of_another_kind_than_the_delegate_writes_is_an_error(
    convert_model: Callable[..., Artifact], programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in spoiled_programs(SPOILS, tmp_path, convert_model, monkeypatch):
        finished = logits_of(program, programs / "executorch_logits")
        assert finished.returncode == 1, finished.stderr.decode()
        assert not finished.stdout


def random_spoil(seed: int) -> Callable[[Tensor], None]:
    def spoil(tensor: Tensor) -> None:
        generator = np.random.default_rng(seed)
        if generator.random() < 0.5:
            tensor.scalar_type = generator.choice([one for one in ScalarType if one.value <= 15])
        if generator.random() < 0.7:
            tensor.sizes = [
                int(generator.choice([0, 1, size - 1, size + 1, 2 * size])) for size in tensor.sizes
            ]
        if generator.random() < 0.5:
            tensor.dim_order = [int(one) for one in generator.integers(0, 4, len(tensor.dim_order))]

    return spoil


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_spoiled_outputs_stay_in_their_memory(
    convert_model: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = compile_programs(
        tmp_path / "build",
        "executorch_logits",
        engines=["executorch"],
        SLM_SANITIZE="address,undefined",
        CMAKE_BUILD_TYPE="Debug",
    )
    spoils = [*SPOILS, *map(random_spoil, range(300))]
    # What the engine itself leaks at its end was not built here.
    options = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
    codes = []
    for program in spoiled_programs(spoils, tmp_path, convert_model, monkeypatch):
        finished = logits_of(program, build / TESTS / "executorch_logits", **options)
        assert b"Sanitizer" not in finished.stderr, finished.stderr.decode(errors="replace")
        codes.append(finished.returncode)
    assert set(codes[: len(SPOILS)]) == {1} and set(codes) <= {0, 1}
