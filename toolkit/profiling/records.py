"""The runner's output, schema slm-result/1: one JSON object per line, in this order.

``start``, then ``greedy`` (when asked for), ``repetition`` once per repetition (warm-ups first), each behind
a ``gate`` when there is one, ``power`` (when asked for), ``memory``, and ``end``. ``end`` is written last: a
file without it is not a result.
All durations are nanoseconds of a monotonic clock; all sizes are bytes.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from toolkit.errors import ResultInvalid

SCHEMA = "slm-result/1"


class Record(BaseModel):
    """Base of all records: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    run_id: str


class Start(Record):
    """Written once the model is loaded.

    ``affinity`` lists the CPUs the process may run on, or is empty when it was not restricted.
    There are at least ``repetitions`` measured ones, more where ``repeat_s`` seconds were to be filled.
    ``reserve`` says what the states have room for, all of it touched: the run's positions or the whole
    context. Runners of before knew neither.
    ``kernels`` says whose kernels run the quantized products and the attention: "engine", or for instance
    "own:avx512vnni"; see docs/kernels.md.
    """

    record: Literal["start"]
    schema_: Literal["slm-result/1"] = Field(alias="schema")
    mode: Literal["profile", "generate"]
    engine: str
    engine_version: str
    kernels: str | None = None
    runner_version: str
    abi: str
    threads: int
    affinity: list[int]
    prompt_tokens: int
    generate_tokens: int
    depth: int
    prefill_chunk: int
    context_length: int
    warmup: int
    repetitions: int
    repeat_s: int = 0
    reserve: Literal["run", "context"] = "run"
    load_ns: int
    started_unix_ns: int


class Greedy(Record):
    """Greedy token at each position of the reference continuation, for parity between device and host.

    The reference's own tokens are fed, so one near tie that falls the other way costs one position and not
    all that follow.
    """

    record: Literal["greedy"]
    prompt_ids: list[int]
    token_ids: list[int]


class Gate(Record):
    """Written when the runner is ready for a repetition and begins to wait for the host.

    Once nobody came, the gate counts as unattended: there are no more of these records.
    """

    record: Literal["gate"]
    index: int
    unix_ns: int


class Repetition(Record):
    """One prefill of ``prompt_tokens`` and the decode steps after it, on an empty KV cache.

    ``prefill_ns`` ends when the first token is known, so that token belongs to prefill and
    ``decode_ns`` holds ``generate_tokens - 1`` steps. With ``depth`` > 0, ``depth`` tokens are in the
    KV cache before the prefill starts; filling them is not timed.

    ``gate`` says how the repetition was let through: "off" (there was none), "opened" by the host after
    ``gate_wait_ns``, or "unattended", because the host was gone. ``started_ns`` is the same moment as
    ``started_unix_ns`` on the clock of the durations.
    """

    record: Literal["repetition"]
    index: int
    warmup: bool
    gate: Literal["off", "opened", "unattended"]
    gate_wait_ns: int
    started_unix_ns: int
    started_ns: int
    prefill_ns: int
    decode_ns: list[int]
    generated_tokens: int


class Power(Record):
    """The battery's counters as the kernel gave them; unit and sign are not known here (energy.py finds out).

    ``monotonic_ns``, ``current`` and ``voltage`` belong together by index; ``unreadable`` counts samples that
    could not be taken. Between ``baseline_start_ns`` and ``baseline_end_ns`` the model was loaded and idle.
    """

    record: Literal["power"]
    current_file: str
    voltage_file: str
    interval_ms: int
    baseline_start_ns: int
    baseline_end_ns: int
    unreadable: int
    monotonic_ns: list[int]
    current: list[int]
    voltage: list[int]


class Memory(Record):
    """Peak memory of the runner's process.

    ``peak_bytes`` = max(VmHWM, max over samples of VmRSS + VmSwap); ``ru_maxrss`` alone is blind to swap.
    What follows ``interval_ms`` was in memory after the last repetition: files of the model that are mapped,
    other files, and all that is in no file; of the latter, weights that the runner's kernels packed, and the
    states. None where the device or the engine does not tell.
    """

    record: Literal["memory"]
    method: str
    peak_bytes: int
    vm_hwm_bytes: int | None = None
    max_rss_swap_bytes: int | None = None
    max_swap_bytes: int | None = None
    after_load_bytes: int | None = None
    major_faults: int
    samples: int
    interval_ms: int
    mapped_model_bytes: int | None = None
    mapped_other_bytes: int | None = None
    anonymous_bytes: int | None = None
    packed_weights_bytes: int | None = None
    states_bytes: int | None = None


class End(Record):
    """The last line of a whole result; ``records`` counts the lines before it."""

    record: Literal["end"]
    status: Literal["ok"]
    records: int


AnyRecord = Start | Greedy | Gate | Repetition | Power | Memory | End
_ADAPTER: TypeAdapter[AnyRecord] = TypeAdapter(Annotated[AnyRecord, Field(discriminator="record")])


class Result(BaseModel):
    """A whole, validated result file."""

    model_config = ConfigDict(frozen=True)

    start: Start
    greedy: Greedy | None
    repetitions: list[Repetition]
    memory: Memory
    power: Power | None = None

    @property
    def measured(self) -> list[Repetition]:
        """Repetitions that count: without the warm-ups."""
        return [repetition for repetition in self.repetitions if not repetition.warmup]


def parse_result(text: str, *, run_id: str, subject: str) -> Result:
    """Parse and check a result file.

    Args:
        text: the file's content.
        run_id: the run that was asked for; records of any other run are refused.
        subject: device serial or file name, for messages.

    Raises:
        ResultInvalid: cut short, malformed, of another run, or with other token counts than asked for.
    """

    def invalid(why: str) -> ResultInvalid:
        return ResultInvalid(why, subject=subject, next_step="Run it again; the raw file is kept.")

    records: list[AnyRecord] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = _ADAPTER.validate_python(json.loads(line))
        except json.JSONDecodeError:
            raise invalid(f"line {number} is not JSON: {line[:80]!r}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise invalid(f"line {number}, {where}: {first['msg']}") from None
        if record.run_id != run_id:
            raise invalid(f"line {number} belongs to run {record.run_id!r}, not {run_id!r}")
        records.append(record)

    if not records or not isinstance(records[0], Start):
        raise invalid("no start record")
    end = records[-1]
    if not isinstance(end, End):
        raise invalid("cut short: no end record")
    if end.records != len(records) - 1:
        raise invalid(f"the end record counts {end.records} records, the file holds {len(records) - 1}")
    start = records[0]
    greedy = [record for record in records if isinstance(record, Greedy)]
    memory = [record for record in records if isinstance(record, Memory)]
    power = [record for record in records if isinstance(record, Power)]
    repetitions = [record for record in records if isinstance(record, Repetition)]
    if len(memory) != 1 or len(greedy) > 1 or len(power) > 1:
        raise invalid(f"{len(memory)} memory, {len(greedy)} greedy and {len(power)} power records")
    fewest = start.warmup + start.repetitions
    count = max(len(repetitions), fewest) if start.repeat_s else fewest
    if [r.index for r in repetitions] != list(range(count)) or any(
        r.warmup != (r.index < start.warmup) for r in repetitions
    ):
        least = " or more" if start.repeat_s else ""
        raise invalid(
            f"{len(repetitions)} repetitions, {start.warmup} warm-ups + {start.repetitions}{least} asked for"
        )
    for repetition in repetitions:
        steps = len(repetition.decode_ns)
        if repetition.generated_tokens != start.generate_tokens or steps != start.generate_tokens - 1:
            raise invalid(
                f"repetition {repetition.index}: {steps} decode steps for "
                f"{start.generate_tokens} generated tokens"
            )
    opened = {record.index for record in records if isinstance(record, Gate)}
    if any(r.gate == "opened" and r.index not in opened for r in repetitions):
        raise invalid("a repetition passed a gate that it never asked for")
    if power and not len(power[0].monotonic_ns) == len(power[0].current) == len(power[0].voltage):
        raise invalid("the power record's lists differ in length")
    return Result(
        start=start,
        greedy=greedy[0] if greedy else None,
        repetitions=repetitions,
        memory=memory[0],
        power=power[0] if power else None,
    )
