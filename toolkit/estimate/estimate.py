"""Memory, size and arithmetic of a model on an engine. Definitions: docs/estimates.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.engines.spec import EngineSpec
from toolkit.engines.storage import StoredMatrix
from toolkit.models.layers import Layer, states_bytes, states_of, states_read_bytes
from toolkit.models.shape import DecoderShape

# Tokens of one prefill call, as the runner feeds them unless it is told otherwise.
CHUNK_TOKENS = 512
# Of a trained tokenizer's files, per token of the vocabulary, where the files are not at hand.
_TOKENIZER_BYTES_PER_TOKEN = 65


@dataclass(frozen=True)
class StateBytes:
    """One state.

    Attributes:
        name: as in the manifest.
        grows: with the text.
        size_bytes: after the text at hand.
    """

    name: str
    grows: bool
    size_bytes: int


@dataclass(frozen=True)
class Memory:
    """Peak memory by part, bytes; the parts sum to the peak.

    Attributes:
        mapped_bytes: weights that are read where the file is mapped.
        packed_bytes: weights as the kernels read them.
        states_bytes: KV cache and other states.
        compute_bytes: activations and logits.
        process_bytes: the runner and its engine.
        loading_bytes: what loading needs beyond all these, where that is the peak.
    """

    mapped_bytes: int
    packed_bytes: int
    states_bytes: int
    compute_bytes: int
    process_bytes: int
    loading_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Their sum."""
        return (
            self.mapped_bytes
            + self.packed_bytes
            + self.states_bytes
            + self.compute_bytes
            + self.process_bytes
            + self.loading_bytes
        )


@dataclass(frozen=True)
class Estimate:
    """What a model takes; sizes in bytes.

    Attributes:
        unique_parameters: every matrix once.
        stored_parameters: a tied vocabulary twice.
        active_parameters: of the unique ones, without the experts that one token is not sent to.
        artifact_bytes: the folder.
        tokenizer_bytes: the tokenizer's share of it.
        tokenizer_known: whether that was weighed; otherwise it follows from the vocabulary.
        text: tokens in the cache.
        states: one by one.
        memory: peak memory by part, with ``text`` tokens in the cache.
        prompt_tokens: of the prefill.
        prefill_flops: multiplications and additions of a prefill of so many tokens into an empty cache.
        decode_weights_bytes: weights that a decode step reads.
        decode_states_bytes: states that it reads, behind ``text`` tokens; shared ones once for each reader.
    """

    unique_parameters: int
    stored_parameters: int
    active_parameters: int
    artifact_bytes: int
    tokenizer_bytes: int
    tokenizer_known: bool
    text: int
    states: tuple[StateBytes, ...]
    memory: Memory
    prompt_tokens: int
    prefill_flops: int
    decode_weights_bytes: int
    decode_states_bytes: int

    @property
    def kv_cache_bytes(self) -> int:
        """States that grow with the text."""
        return sum(one.size_bytes for one in self.states if one.grows)

    @property
    def fixed_states_bytes(self) -> int:
        """The others."""
        return sum(one.size_bytes for one in self.states if not one.grows)

    @property
    def decode_bytes(self) -> int:
        """What a decode step reads."""
        return self.decode_weights_bytes + self.decode_states_bytes


@dataclass(frozen=True)
class Prediction:
    """Speeds that a device cannot exceed; predicted, not measured.

    Attributes:
        prefill_tokens_per_second: all products at the device's throughput of such.
        decode_tokens_per_second: all bytes of a step at its memory bandwidth.
    """

    prefill_tokens_per_second: float
    decode_tokens_per_second: float


def predict(found: Estimate, *, read_bytes_per_second: float, ops_per_second: float) -> Prediction:
    """The roof over an estimate.

    Args:
        found: of the model on an engine.
        read_bytes_per_second: what the device reads at most.
        ops_per_second: what it multiplies and adds at most, integers or floats as the scheme has it.
    """
    return Prediction(
        prefill_tokens_per_second=found.prompt_tokens * ops_per_second / found.prefill_flops,
        decode_tokens_per_second=read_bytes_per_second / found.decode_bytes,
    )


def estimate(
    shape: DecoderShape,
    stored: Sequence[StoredMatrix],
    engine: EngineSpec,
    *,
    context: int,
    text: int,
    prompt_tokens: int,
    tokenizer_bytes: int | None = None,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Estimate:
    """Estimate a model on an engine.

    Args:
        shape: its sizes.
        stored: its matrices with their quantization.
        engine: what runs it.
        context: tokens that the artifact is made for.
        text: tokens in the cache, of which ``prompt_tokens`` come last.
        prompt_tokens: of the prefill.
        tokenizer_bytes: of the tokenizer's files; None where they are not at hand.
        chunk_tokens: most of them in one call.
    """
    storage = engine.storage
    tokenizer = shape.vocabulary * _TOKENIZER_BYTES_PER_TOKEN if tokenizer_bytes is None else tokenizer_bytes
    states = tuple(
        StateBytes(state.name, state.grows, state.size_bytes(text)) for state in states_of(shape.layers)
    )
    resident = storage.resident(shape, stored, tokens=text)
    held = sum(one.size_bytes for one in states)
    compute = storage.compute_bytes(shape, tokens=min(text, chunk_tokens), context=context)
    running = resident.mapped_bytes + held + compute
    memory = Memory(
        mapped_bytes=resident.mapped_bytes,
        packed_bytes=resident.packed_bytes,
        states_bytes=held,
        compute_bytes=compute,
        process_bytes=storage.process_bytes,
        loading_bytes=max(0, resident.transient_bytes + shape.other_parameters * 4 - running),
    )
    return Estimate(
        unique_parameters=shape.unique_parameters,
        stored_parameters=shape.stored_parameters,
        active_parameters=shape.active_parameters,
        artifact_bytes=storage.weights_bytes(shape, stored)
        + storage.tables_bytes(shape, context)
        + storage.graph_bytes(shape, stored)
        + tokenizer,
        tokenizer_bytes=tokenizer,
        tokenizer_known=tokenizer_bytes is not None,
        text=text,
        states=states,
        memory=memory,
        prompt_tokens=prompt_tokens,
        prefill_flops=shape.prefill_flops(prompt_tokens),
        decode_weights_bytes=resident.decode_bytes,
        decode_states_bytes=states_read_bytes(shape.layers, text),
    )


def minimum_memory_bytes(
    artifact_bytes: int, layers: Sequence[Layer], engine: EngineSpec, *, text: int
) -> int:
    """The part of the peak that an artifact alone tells: its files, states of so long a text, the process."""
    return artifact_bytes + states_bytes(layers, text) + engine.storage.process_bytes
