"""An ExecuTorch program, instruction by instruction.

ExecuTorch's own exporter gets here by retracing every delegate some forty times, which takes minutes for a
small decoder. The lowering already knows each value's shape and each instruction's arguments, so it fills in
the same schema directly and leaves only the encoding to ExecuTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from executorch.exir import schema
from executorch.exir.scalar_type import ScalarType
from numpy.typing import NDArray

from toolkit.export.executorch.memory import Lifetime, aligned, pack
from toolkit.export.executorch.operator_table import OPERATOR_TABLE, OperatorTable
from toolkit.export.executorch.segments import Segments
from toolkit.export.executorch.xnnpack import BACKEND, Node, XnnpackGraph

# Planned buffer 0 is reserved for constants by the schema.
ACTIVATIONS = 1
KV_CACHE = 2
# Of its own, so that a runner can empty it, keep it and bring it back.
FIXED_STATES = 3
# A constant method that names the buffer of fixed states, in programs that have some.
FIXED_STATES_METHOD = "get_fixed_states_buffer"
PROGRAM_VERSION = 0
ALIGNMENT = 16
# XNNPACK reads up to this many bytes past the end of its inputs.
OVERREAD_BYTES = 128

_SCALAR_TYPES = {
    "bool": ScalarType.BOOL,
    "float16": ScalarType.HALF,
    "float32": ScalarType.FLOAT,
    "int64": ScalarType.LONG,
    "int8": ScalarType.CHAR,
    "uint8": ScalarType.BYTE,
}
# What a constant method may return: an integer, a flag, or several integers.
Constant = int | bool | Sequence[int]


@dataclass(frozen=True)
class Value:
    """Index of a value in the method's table."""

    index: int


@dataclass
class _Planned:
    """A tensor that the memory plan has to place."""

    tensor: schema.Tensor
    size_bytes: int
    first: int
    last: int


class Method:
    """One method under construction; its values live in planned buffers: activations, KV cache, fixed states.

    Args:
        name: as callers see it.
        segments: receive the constants and what delegates read.

    Attributes:
        operators: what each instruction is; whoever adds some sets their module.
    """

    def __init__(self, name: str, segments: Segments) -> None:
        self.name = name
        self.segments = segments
        self.operators = OperatorTable()
        self._values: list[schema.EValue] = []
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        self._instructions: list[schema.Instruction] = []
        self._operators: dict[tuple[str, str], int] = {}
        self._delegates: list[schema.BackendDelegate] = []
        self._constants: list[tuple[bytes, str | None]] = []
        self._literals: dict[tuple[str, object], Value] = {}
        self._planned: dict[int, _Planned] = {}
        self._members: dict[int, Sequence[Value]] = {}
        self._kept_bytes = {KV_CACHE: 0, FIXED_STATES: 0}

    def input(self, shape: Sequence[int], dtype: str, *, dynamic: bool) -> Value:
        """Declare a tensor that the caller passes in and keeps; ``shape`` is its upper bound."""
        value = self._add(_tensor(shape, dtype, dynamic=dynamic))
        self._inputs.append(value.index)
        return value

    def output(self, value: Value) -> None:
        """Return a value; its memory is the program's."""
        self._outputs.append(value.index)
        self._planned[value.index].last = len(self._instructions) + 1

    def tensor(self, shape: Sequence[int], dtype: str = "float32", *, dynamic: bool = True) -> Value:
        """A tensor that an instruction will write; ``shape`` is its upper bound."""
        tensor = _tensor(shape, dtype, dynamic=dynamic)
        value = self._add(tensor)
        start = len(self._instructions)
        self._planned[value.index] = _Planned(tensor, _size_bytes(shape, dtype), start, start)
        return value

    def cache(self, shape: Sequence[int]) -> Value:
        """A float32 tensor that keeps its content from call to call; rows of later positions are not read."""
        return self._kept(shape, "float32", KV_CACHE)

    def fixed_state(self, shape: Sequence[int], dtype: str = "float32") -> Value:
        """A tensor that keeps its content from call to call, zero where a text begins."""
        return self._kept(shape, dtype, FIXED_STATES)

    def _kept(self, shape: Sequence[int], dtype: str, buffer: int) -> Value:
        tensor = _tensor(shape, dtype, dynamic=False)
        tensor.allocation_info = _allocation(buffer, self._kept_bytes[buffer])
        self._kept_bytes[buffer] += aligned(_size_bytes(shape, dtype), ALIGNMENT)
        return self._add(tensor)

    def shape(self, value: Value) -> tuple[int, ...]:
        """Upper bound of a tensor's shape."""
        tensor = self._values[value.index].val
        assert isinstance(tensor, schema.Tensor), "only tensors have shapes"
        return tuple(tensor.sizes)

    def holds_floats(self, value: Value) -> bool:
        """Whether a tensor holds float32."""
        tensor = self._values[value.index].val
        assert isinstance(tensor, schema.Tensor), "only tensors hold numbers"
        return bool(tensor.scalar_type == ScalarType.FLOAT)

    def constant(self, array: NDArray[np.generic], *, key: str | None = None) -> Value:
        """A tensor whose content is stored in the program; with a key, for delegates to share."""
        self._constants.append((np.ascontiguousarray(array).tobytes(), key))
        tensor = _tensor(array.shape, array.dtype.name, dynamic=False)
        tensor.data_buffer_idx = len(self._constants)
        return self._add(tensor)

    def literal(self, value: int | float | bool | None) -> Value:
        """A number, a flag or nothing; equal ones share an entry that no instruction may write."""
        key = (type(value).__name__, value)
        if key not in self._literals:
            self._literals[key] = self._add(_literal(value))
        return self._literals[key]

    def tensors(self, values: Sequence[Value]) -> Value:
        """A list of tensors."""
        return self._list(schema.TensorList([value.index for value in values]), values)

    def optional_tensors(self, values: Sequence[Value]) -> Value:
        """A list of tensors where some may be missing."""
        return self._list(schema.OptionalTensorList([value.index for value in values]), values)

    def _list(self, content: Any, values: Sequence[Value]) -> Value:
        value = self._add(content)
        self._members[value.index] = values
        return value

    def jump_unless(self, flag: Value) -> int:
        """Go on where :meth:`land` says unless a flag is set."""
        self._instruct(schema.JumpFalseCall(flag.index, 0), [flag])
        self.operators.add("jump")
        return len(self._instructions) - 1

    def land(self, jump: int) -> None:
        """A jump goes to the next instruction."""
        instruction = self._instructions[jump].instr_args
        assert isinstance(instruction, schema.JumpFalseCall), "only jumps land"
        instruction.destination_instruction = len(self._instructions)

    def integer(self) -> Value:
        """An integer that an instruction will write."""
        return self._add(schema.Int(0))

    def flag(self) -> Value:
        """A flag that an instruction will write."""
        return self._add(schema.Bool(False))

    def call(self, operator: str, arguments: Sequence[Value]) -> None:
        """Call a kernel, e.g. ``aten::slice_copy.Tensor_out``; results are among its arguments."""
        name, _, overload = operator.partition(".")
        index = self._operators.setdefault((name, overload), len(self._operators))
        self._instruct(schema.KernelCall(index, [value.index for value in arguments]), arguments)
        self.operators.add(operator)

    def delegate(self, graph: XnnpackGraph, outputs: Sequence[Node], arguments: Sequence[Value]) -> None:
        """Call a graph: its inputs first, then its outputs."""
        index = len(self._delegates)
        segment = self.segments.append(graph.payload(outputs))
        reference = schema.BackendDelegateDataReference(schema.DataLocation.SEGMENT, segment)
        self._delegates.append(schema.BackendDelegate(BACKEND, reference, []))
        self._instruct(schema.DelegateCall(index, [value.index for value in arguments]), arguments)
        self.operators.add_delegate(graph.operators)

    def write(self, path: Path, constants: Mapping[str, Constant]) -> None:
        """Write the .pte with this method and one method per constant."""
        if self._kept_bytes[FIXED_STATES]:
            constants = {**constants, FIXED_STATES_METHOD: FIXED_STATES}
        self.segments.name(OPERATOR_TABLE, self.operators.encoded())
        plans = [self._plan(), *(_constant_plan(name, value) for name, value in constants.items())]
        program = schema.Program(
            version=PROGRAM_VERSION,
            execution_plan=plans,
            constant_buffer=[],
            backend_delegate_data=[],
            segments=[],
            constant_segment=self.segments.constants(self._constants),
        )
        self.segments.write(path, program)

    def _plan(self) -> schema.ExecutionPlan:
        lifetimes = [Lifetime(p.size_bytes, p.first, p.last) for p in self._planned.values()]
        offsets, total = pack(lifetimes, alignment=ALIGNMENT)
        for planned, offset in zip(self._planned.values(), offsets, strict=True):
            planned.tensor.allocation_info = _allocation(ACTIVATIONS, offset)
        sizes = [0, total + OVERREAD_BYTES]
        sizes += self._kept_bytes.values()
        while not sizes[-1]:
            sizes.pop()
        return schema.ExecutionPlan(
            name=self.name,
            container_meta_type=schema.ContainerMetadata("", ""),
            values=self._values,
            inputs=self._inputs,
            outputs=self._outputs,
            chains=[schema.Chain([], [], self._instructions, None)],
            operators=[schema.Operator(name, overload) for name, overload in self._operators],
            delegates=self._delegates,
            non_const_buffer_sizes=sizes,
        )

    def _instruct(self, arguments: Any, values: Sequence[Value]) -> None:
        # What is in a list is used when the list is.
        members = [member for value in values for member in self._members.get(value.index, ())]
        for value in [*values, *members]:
            if value.index in self._planned:
                self._planned[value.index].last = len(self._instructions)
        self._instructions.append(schema.Instruction(arguments))

    def _add(self, content: Any) -> Value:
        self._values.append(schema.EValue(content))
        return Value(len(self._values) - 1)


def _tensor(shape: Sequence[int], dtype: str, *, dynamic: bool) -> schema.Tensor:
    dynamism = schema.TensorShapeDynamism
    return schema.Tensor(
        scalar_type=_SCALAR_TYPES[dtype],
        storage_offset=0,
        sizes=list(shape),
        dim_order=list(range(len(shape))),
        requires_grad=False,
        layout=0,
        data_buffer_idx=0,
        allocation_info=None,
        shape_dynamism=dynamism.DYNAMIC_BOUND if dynamic else dynamism.STATIC,
    )


def _literal(value: int | float | bool | None) -> Any:
    if value is None:
        return schema.Null()
    if isinstance(value, bool):
        return schema.Bool(value)
    return schema.Int(value) if isinstance(value, int) else schema.Double(value)


def _constant_plan(name: str, value: Constant) -> schema.ExecutionPlan:
    """A method that takes nothing, does nothing and returns constants."""
    results = [value] if isinstance(value, int) else list(value)
    return schema.ExecutionPlan(
        name=name,
        container_meta_type=schema.ContainerMetadata("", ""),
        values=[schema.EValue(_literal(result)) for result in results],
        inputs=[],
        outputs=list(range(len(results))),
        chains=[schema.Chain([], [], [], None)],
        operators=[],
        delegates=[],
        non_const_buffer_sizes=[0],
    )


def _allocation(buffer: int, offset: int) -> schema.AllocationDetails:
    return schema.AllocationDetails(buffer, offset & 0xFFFFFFFF, offset >> 32)


def _size_bytes(shape: Sequence[int], dtype: str) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
