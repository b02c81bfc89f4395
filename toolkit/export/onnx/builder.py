"""A thin, typed layer over ONNX protobufs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper
from onnx import TensorProto as Tp

from toolkit.export.onnx.external_data import ExternalData

MICROSOFT = "com.microsoft"
# The newest IR that onnxruntime-genai 0.18 and onnxruntime 1.31 both read is newer; nothing here needs it.
IR_VERSION = 10


class GraphBuilder:
    """Collects nodes, inputs and outputs; constants go to the external data.

    Attributes:
        module: path of the model's module whose nodes are being added; names of nodes begin with it.
    """

    def __init__(self, data: ExternalData) -> None:
        self.data = data
        self.module = ""
        self.nodes: list[NodeProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._counts: dict[str, int] = {}

    def node(
        self,
        op_type: str,
        inputs: Sequence[str],
        *,
        outputs: int | Sequence[str] = 1,
        domain: str = "",
        hint: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Append a node; returns its output names. Inputs left out in the middle are empty strings.

        Args:
            op_type: the operator.
            inputs: value names.
            outputs: how many, or their names.
            domain: "" for standard operators.
            hint: goes into the node's name, where profiles show it, in place of the module.
            attributes: the operator's.
        """
        hint = hint or self.module
        name = self._fresh(f"/{hint}/{op_type}" if hint else f"/{op_type}")
        names = [f"{name}/{index}" for index in range(outputs)] if isinstance(outputs, int) else list(outputs)
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=name, domain=domain, **attributes))
        return names

    def constant(self, array: NDArray[np.generic]) -> str:
        """A small constant; equal ones are stored once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._fresh("constant")
            self._constants[key] = self.data.add(name, [array], array.shape)
        return self._constants[key]

    def input(self, name: str, element: int, shape: Sequence[int | str]) -> str:
        """Declare a graph input."""
        self.inputs.append(helper.make_tensor_value_info(name, element, list(shape)))
        return name

    def output(self, name: str, element: int, shape: Sequence[int | str]) -> str:
        """Declare a graph output."""
        self.outputs.append(helper.make_tensor_value_info(name, element, list(shape)))
        return name

    def model(self, *, name: str, opset: int, producer_version: str, metadata: dict[str, str]) -> ModelProto:
        """The finished model; weights stay in the external data file."""
        graph: GraphProto = helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, initializer=self.data.initializers
        )
        model: ModelProto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)],
            ir_version=IR_VERSION,
            producer_name="slm-toolkit",
            producer_version=producer_version,
        )
        helper.set_model_props(model, metadata)
        return model

    def _fresh(self, stem: str) -> str:
        count = self._counts.get(stem, 0)
        self._counts[stem] = count + 1
        return f"{stem}_{count}" if count else stem


BOOL, FLOAT, INT32, INT64 = Tp.BOOL, Tp.FLOAT, Tp.INT32, Tp.INT64
