"""Short convolutions and recurrences: onnxruntime's CausalConvWithState and LinearAttention."""

from __future__ import annotations

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.export.onnx.builder import MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.layout import reshape


def short_convolution(lowering: LoweringContext, op: Op) -> None:
    """The convolution, together with a silu that alone reads it."""
    hidden, weight, bias, state = op.args
    builder = lowering.builder
    channels, width = (int(size) for size in lowering.shape(weight))
    filters = reshape(lowering, lowering.value(weight), (channels, 1, width))
    inputs = [
        lowering.value(hidden),
        filters,
        lowering.value(bias) if isinstance(bias, Ref) else "",
        f"past_key_values.{state}",
    ]
    readers = lowering.users.get(op.name, [])
    silu = readers[0] if [user.target for user in readers] == ["aten.silu"] else None
    options = {"activation": "silu"} if silu is not None else {}
    outputs = [f"/{state}/output", f"present.{state}"]
    builder.node(
        "CausalConvWithState",
        inputs,
        outputs=outputs,
        domain=MICROSOFT,
        hint=state,
        channels_last=1,
        **options,
    )
    lowering.set_value(op.name if silu is None else silu.name, outputs[0])


def linear_recurrence(lowering: LoweringContext, op: Op) -> None:
    """The recurrence; heads lie side by side in the engine's operands."""
    query, key, value, decay, beta, _, state = op.args
    assert op.shape is not None, "a recurrence yields one tensor"
    inputs = [_flat(lowering, ref) for ref in (query, key, value)]
    inputs += [f"past_key_values.{state}", _flat(lowering, decay)]
    if beta is not None:
        inputs.append(lowering.value(beta))
    outputs = [f"/{state}/output", f"present.{state}"]
    lowering.builder.node(
        "LinearAttention",
        inputs,
        outputs=outputs,
        domain=MICROSOFT,
        hint=state,
        q_num_heads=int(lowering.shape(query)[2]),
        kv_num_heads=int(op.shape[2]),
        scale=1.0,
        update_rule="gated" if beta is None else "gated_delta",
    )
    lowering.set_value(op.name, reshape(lowering, outputs[0], op.shape))


def _flat(lowering: LoweringContext, ref: Ref) -> str:
    """An operand [1, S, heads, width] as [1, S, heads * width]."""
    _, _, heads, width = lowering.shape(ref)
    return reshape(lowering, lowering.value(ref), (1, SEQUENCE, int(heads) * int(width)))
