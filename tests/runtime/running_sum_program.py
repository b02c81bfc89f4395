"""A program for ExecuTorch with a state of fixed size; run as ``python running_sum_program.py model.pte``.

Its logits are the sum of the rows of all tokens so far. In a process of its own: importing ExecuTorch warns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

VOCAB = 97


def table() -> npt.NDArray[np.float32]:
    """Rows of the vocabulary, [VOCAB, VOCAB]."""
    return np.random.default_rng(5).standard_normal((VOCAB, VOCAB)).astype(np.float32)


def greedy(prompt: list[int], count: int) -> list[int]:
    """The greedy continuation, by adding up everything again for every token."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(np.argmax(table()[tokens].sum(axis=0, dtype=np.float32))))
    return tokens[len(prompt) :]


def write(path: Path) -> None:
    """Write the program."""
    from toolkit.export.executorch.program import Method
    from toolkit.export.executorch.segments import Segments

    with Segments(path.parent) as segments:
        method = Method("forward", segments)
        ids = method.input([1, 1], "int64", dynamic=False)
        method.input([1], "int64", dynamic=False)
        state = method.fixed_state([1, 1, VOCAB])
        rows, logits = (method.tensor([1, 1, VOCAB], dynamic=False) for _ in range(2))
        literals = [method.literal(value) for value in (-1, False, False)]
        method.call("aten::embedding.out", [method.constant(table()), ids, *literals, rows, rows])
        for result in (logits, state):
            method.call("aten::add.out", [state, rows, method.literal(1), result, result])
        method.output(logits)
        method.write(path, {"get_max_seq_len": 1, "get_max_context_len": 64})


if __name__ == "__main__":
    write(Path(sys.argv[1]))
