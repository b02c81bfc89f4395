"""The runner's GroupQueryAttention and MatMulNBits on models whose parts do not fit each other."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from compiled_programs import TESTS, compile_programs
from numpy.typing import NDArray
from onnx import helper
from runner_process import Runner

pytestmark = pytest.mark.timeout(900)

DOMAIN = "com.microsoft"
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 64, 96, 1000)
Array = NDArray[Any]
Answer = Array | str
Solve = Callable[[Sequence["Problem"]], list[Answer]]


@dataclass(frozen=True)
class Problem:
    """A model of one node and what is fed to it; an input of None is left out."""

    operator: str
    attributes: dict[str, Any]
    inputs: tuple[Array | None, ...]
    outputs: int = 1
    # Inputs from here on are the model's own.
    constants_from: int = 99

    def model(self) -> bytes:
        """Shapes stay unknown, so that whatever is fed reaches the operator."""
        names = ["" if array is None else f"input{at}" for at, array in enumerate(self.inputs)]
        outputs = [f"output{at}" for at in range(self.outputs)]
        node = helper.make_node(self.operator, names, outputs, domain=DOMAIN, **self.attributes)
        types = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int32): onnx.TensorProto.INT32}
        graph = helper.make_graph(
            [node],
            "one_node",
            [
                helper.make_tensor_value_info(names[at], types[array.dtype], [None] * array.ndim)
                for at, array in self.fed()
            ],
            [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
            [
                onnx.numpy_helper.from_array(array, names[at])
                for at, array in enumerate(self.inputs)
                if array is not None and at >= self.constants_from
            ],
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()

    def fed(self) -> list[tuple[int, Array]]:
        return [
            (at, array)
            for at, array in enumerate(self.inputs)
            if array is not None and at < self.constants_from
        ]

    def encoded(self) -> bytes:
        model, fed = self.model(), self.fed()
        parts = [struct.pack("<q", len(model)), model, struct.pack("<q", len(fed))]
        for _, array in fed:
            kind = 6 if array.dtype == np.int32 else 1
            parts.append(struct.pack(f"<{2 + array.ndim}q", kind, array.ndim, *array.shape))
            parts.append(array.tobytes())
        return b"".join(parts)

    def with_input(self, at: int, array: Array | None) -> Problem:
        return replace(self, inputs=(*self.inputs[:at], array, *self.inputs[at + 1 :]))

    def with_attributes(self, **attributes: Any) -> Problem:
        return replace(self, attributes=self.attributes | attributes)


def random_floats(generator: np.random.Generator, *shape: int) -> Array:
    return generator.standard_normal(shape).astype(np.float32)


def attention(
    seed: int = 0,
    *,
    heads: int = 4,
    kv_heads: int = 2,
    head_dim: int = 32,
    tokens: int = 3,
    past: int = 5,
    packed: bool = True,
    rotary: bool = True,
    half: int = 16,
) -> Problem:
    """A call whose inputs fit each other."""
    generator = np.random.default_rng(seed)
    widths = (heads + 2 * kv_heads, None, None) if packed else (heads, kv_heads, kv_heads)
    angles = random_floats(generator, past + tokens + 2, half)
    inputs = (
        *(
            None if width is None else random_floats(generator, 1, tokens, width * head_dim)
            for width in widths
        ),
        random_floats(generator, 1, kv_heads, past, head_dim),
        random_floats(generator, 1, kv_heads, past, head_dim),
        np.array([past + tokens - 1], np.int32),
        np.array(past + tokens, np.int32),
        *((np.cos(angles), np.sin(angles)) if rotary else ()),
    )
    attributes = {"num_heads": heads, "kv_num_heads": kv_heads, "do_rotary": int(rotary)}
    return Problem("GroupQueryAttention", attributes, inputs, outputs=3)


def reading(seed: int = 0, *, tokens: int = 3, past: int = 5, room: int = 4, **sizes: Any) -> Problem:
    """A call without keys and values, over a cache that another node has written already."""
    problem = attention(seed, tokens=tokens, past=past + tokens + room, packed=False, **sizes)
    key = problem.inputs[1]
    assert key is not None
    nothing = np.zeros((1, 0, key.shape[2]), np.float32)
    total = past + tokens
    problem = problem.with_input(1, nothing).with_input(2, nothing)
    problem = problem.with_input(5, np.array([total - 1], np.int32)).with_input(6, np.array(total, np.int32))
    return replace(problem, outputs=1)


def product(seed: int = 0, *, rows: int = 24, columns: int = 64, group: int = 32, bits: int = 4) -> Problem:
    """The same for MatMulNBits, with zero points."""
    generator = np.random.default_rng(seed)
    groups = columns // group
    inputs = (
        random_floats(generator, 1, 2, columns),
        generator.integers(0, 256, (rows, groups, group * bits // 8), np.uint8),
        random_floats(generator, rows * groups),
        generator.integers(0, 256, rows * ((groups * bits + 7) // 8), np.uint8),
        None,
        random_floats(generator, rows),
    )
    attributes = {"N": rows, "K": columns, "bits": bits, "block_size": group, "accuracy_level": 4}
    return Problem("MatMulNBits", attributes, inputs, constants_from=1)


def as_the_engine_does(problem: Problem) -> Array:
    session = onnxruntime.InferenceSession(problem.model(), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {f"input{at}": array for at, array in problem.fed()})
    return np.asarray(outputs[0]).ravel()


def solve_with(
    program: Path, problems: Sequence[Problem], *, threads: int = 2, kernels: str = "own"
) -> list[Answer]:
    [library] = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*")
    finished = subprocess.run(
        [program, library, str(threads), kernels],
        input=b"".join(problem.encoded() for problem in problems),
        capture_output=True,
        timeout=600,
    )
    assert finished.returncode == 0, (finished.returncode, finished.stderr[-4000:])
    answers: list[Answer] = []
    left = finished.stdout
    while left:
        [size] = struct.unpack("<q", left[:8])
        end = 8 + (4 * size if size >= 0 else -size)
        answers.append(np.frombuffer(left[8:end], np.float32) if size >= 0 else left[8:end].decode())
        left = left[end:]
    assert len(answers) == len(problems)
    return answers


@pytest.fixture(scope="module")
def program(programs: Path) -> Path:
    return programs / "onnxruntime_operators"


@pytest.fixture(scope="module")
def solve(program: Path) -> Solve:
    return lambda problems: solve_with(program, problems)


FITTING = [
    attention(),
    attention(1, packed=False, half=8),
    attention(2, tokens=1, past=70, heads=6, kv_heads=2, head_dim=48, half=24),
    attention(3, tokens=40, past=0, rotary=False),
    attention(4, tokens=2, past=4).with_attributes(local_window_size=3),
    attention(5, tokens=40, past=3, head_dim=72, rotary=False),
    attention(6, tokens=1, past=70, heads=6, kv_heads=6, head_dim=24, rotary=False),
    reading(7),
    reading(8, tokens=1, past=70, room=0, heads=6, kv_heads=1, head_dim=72, rotary=False),
    reading(9, tokens=40, past=0, half=8).with_attributes(local_window_size=3),
]


def test_problems_that_fit_are_solved_as_the_engine_does(solve: Solve) -> None:
    for problem, answer in zip(FITTING, solve(FITTING), strict=True):
        assert not isinstance(answer, str), answer
        np.testing.assert_allclose(answer, as_the_engine_does(problem), atol=2e-5)


def test_every_set_of_this_cpu_can_be_asked_for(program: Path, runner: Runner) -> None:
    sets = json.loads(runner("info").stdout)["kernel_sets"]
    assert sets[-1] == "own:portable"
    problems = [*FITTING, product(), product(1, rows=40, columns=128, bits=8)]
    expected = solve_with(program, problems)
    answers = {name: solve_with(program, problems, kernels=name) for name in sets}
    for answer in answers.values():
        for got, wanted in zip(answer, expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-3, rtol=1e-4)
    # The fastest is what is taken without a name; plain C++ rounds its sums otherwise, in both operators.
    for got, wanted in zip(answers[sets[0]], expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    if len(sets) > 1:
        differ = [
            not np.array_equal(got, wanted) for got, wanted in zip(answers[sets[-1]], expected, strict=True)
        ]
        assert any(differ[: len(FITTING)]) and any(differ[len(FITTING) :])


WRONG = {
    "tables wider than a head": attention(half=17),
    "tables much wider than a head": attention(tokens=1, half=500),
    "sines shorter than cosines": attention().with_input(8, np.zeros((3, 16), np.float32)),
    "sines narrower than cosines": attention().with_input(8, np.zeros((10, 2), np.float32)),
    "a position beyond the tables": attention(half=2)
    .with_input(7, np.zeros((6, 2), np.float32))
    .with_input(8, np.zeros((6, 2), np.float32)),
    "a packed input that is too narrow": attention().with_input(0, np.zeros((1, 3, 128), np.float32)),
    "queries that are too narrow": attention(packed=False).with_input(0, np.zeros((1, 3, 64), np.float32)),
    "keys that are too narrow": attention(packed=False).with_input(1, np.zeros((1, 3, 32), np.float32)),
    "values of fewer tokens": attention(packed=False).with_input(2, np.zeros((1, 1, 64), np.float32)),
    "a cache of fewer heads": attention().with_input(3, np.zeros((1, 1, 5, 32), np.float32)),
    "past values of fewer positions": attention().with_input(4, np.zeros((1, 2, 1, 32), np.float32)),
    "a past that the cache does not hold": attention().with_input(5, np.array([9], np.int32)),
    "a negative last position": attention().with_input(5, np.array([-2], np.int32)),
    "no last position": attention().with_input(5, np.zeros(0, np.int32)),
    "keys beside a cache that is not written": replace(attention(packed=False), outputs=1),
    "a cache that another node has not written so far": reading(room=-1),
    "no tokens": attention(rotary=False).with_input(0, np.zeros((1, 0, 256), np.float32)),
    "no KV heads": attention().with_attributes(kv_num_heads=0),
    "negative heads": attention().with_attributes(num_heads=-4, kv_num_heads=-2),
    "more heads than fit": attention().with_attributes(num_heads=1 << 62, kv_num_heads=1 << 56),
    "activations of another width": product().with_input(0, np.zeros((1, 2, 63), np.float32)),
    "weights that are too short": product().with_input(1, np.zeros((3, 2, 16), np.uint8)),
    "scales that are too short": product().with_input(2, np.zeros(5, np.float32)),
    "zero points that are too short": product().with_input(3, np.zeros(5, np.uint8)),
    "float zero points that are too short": product().with_input(3, np.zeros(5, np.float32)),
    "a bias that is too short": product().with_input(5, np.zeros(5, np.float32)),
    "more rows than there are": product().with_attributes(N=1 << 40),
    "negative columns": product().with_attributes(K=-64),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_an_error(what: str, solve: Solve) -> None:
    [answer] = solve([WRONG[what]])
    assert isinstance(answer, str), "ran all the same"


def broken(generator: np.random.Generator) -> Problem:
    """A problem with up to three sizes or attributes set to something else."""
    seed = int(generator.integers(1 << 30))
    kind = generator.integers(3)
    problem = (
        product(seed)
        if kind == 0
        else attention(seed, packed=kind == 1, tokens=int(generator.integers(1, 5)))
    )
    for _ in range(generator.integers(1, 4)):
        at = int(generator.integers(len(problem.inputs) + 2))
        if at >= len(problem.inputs):
            name = str(generator.choice(list(problem.attributes)))
            size = int(generator.choice([*SIZES, -1, 1 << 31, 1 << 62]))
            problem = problem.with_attributes(**{name: size})
            continue
        array = problem.inputs[at]
        if array is None:
            continue
        if array.dtype == np.int32:
            changed: Array = np.full(array.shape, generator.integers(-3, 40), np.int32)
        else:
            shape = list(array.shape)
            shape[generator.integers(len(shape))] = int(generator.choice(SIZES))
            changed = np.resize(array, shape)
        problem = problem.with_input(at, changed)
    return problem


def test_whatever_the_shapes_are_the_operators_answer(solve: Solve) -> None:
    generator = np.random.default_rng(5)
    answers = solve([broken(generator) for _ in range(300)])
    assert sum(isinstance(answer, str) for answer in answers) > 150
    assert any(not isinstance(answer, str) for answer in answers)


@pytest.mark.soak
def test_whatever_the_shapes_are_the_operators_stay_in_their_memory(tmp_path: Path) -> None:
    build = compile_programs(
        tmp_path,
        "onnxruntime_operators",
        engines=["onnxruntime"],
        SLM_SANITIZE="address,undefined",
        CMAKE_BUILD_TYPE="Debug",
    )
    generator = np.random.default_rng(6)
    problems = [*WRONG.values(), *(broken(generator) for _ in range(5000))]
    solve_with(build / TESTS / "onnxruntime_operators", problems)
