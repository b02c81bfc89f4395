"""llama-bench's JSON as runs of ours: one for each of its tests.

Such a run has protocol 0, so it is compared with others of its kind only: llama-bench decodes on an empty
cache, ours after the prompt. All settings that have no column here (batch, KV types, flash attention,
offload, back ends ...) are kept as the run's settings and so are parts of the condition key, by name. Ids are
made from the content: the same file gives the same runs. What the file does not tell is ``unknown``, or 0 for
the artifact's context. A file that names neither CPU nor GPU, or only a kind of them that many phones have,
is a device of its own: two phones are never one. A build that does not know its commit is a version of its
own in each file, likewise.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from toolkit.errors import ImportInvalid
from toolkit.store.ids import id_of_content
from toolkit.store.import_checks import is_in_future
from toolkit.store.llama_bench_checks import contradiction
from toolkit.store.llama_bench_names import (
    architecture_of,
    file_name,
    model_of,
    names_a_chip,
    quantization_of,
)
from toolkit.store.llama_bench_settings import settings_of
from toolkit.store.measurements import NS_PER_S, measurement, tokens_per_second
from toolkit.store.rows import Artifact, Device, Repetition, Run, StoredRun

PROTOCOL = 0
LLAMA_CPP = "llama.cpp"
_EMULATED = "emulated: "
_AFTER_PROMPT = re.compile(r"tg[0-9]+@pp[0-9]+")
_NO_COMMIT = frozenset({"", "unknown", "none", "n/a", "(unknown)"})
# What versions begin with that no build tells; the rest is of the file.
UNKNOWN_BUILD = "unknown-"
_HASH = "^[0-9a-f]{64}$"
# "engine 1.2.3", as our export writes it; llama-bench itself lists backends without versions.
_OURS = re.compile(r"([a-z][\w.-]*) (\d\S*)")


def _in_utc(moment: datetime) -> datetime:
    """llama-bench writes UTC; a time without a zone must not mean another one on each machine."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class LlamaBenchTest(BaseModel):
    """The fields of a row that are needed; it may have any others."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    build_commit: str
    cpu_info: str = ""
    gpu_info: str = ""
    backends: str = ""
    model_filename: str
    model_type: str
    model_size: Annotated[int, Field(ge=0)]
    model_n_params: Annotated[int, Field(ge=0)]
    n_batch: int = 0
    n_ubatch: int = 0
    n_threads: Annotated[int, Field(ge=1)]
    cpu_mask: Annotated[str, Field(pattern="^(0[xX])?[0-9a-fA-F]*$")] = "0x0"
    n_prompt: Annotated[int, Field(ge=0)]
    n_gen: Annotated[int, Field(ge=0)]
    n_depth: Annotated[int, Field(ge=0)] = 0
    test_time: Annotated[datetime, AfterValidator(_in_utc)]
    # Of the ik fork: what is timed, e.g. tg128@pp512.
    test: str = ""
    samples_ns: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)]
    samples_ts: list[float] | None = None
    avg_ns: float | None = None
    avg_ts: float | None = None
    # Of files that we exported: what the run, its artifact and its device are here.
    slm_run_id: str | None = None
    slm_artifact_sha256: Annotated[str, Field(pattern=_HASH)] | None = None
    slm_backend_version: str | None = None
    slm_device_key: Annotated[str, Field(pattern=_HASH)] | None = None
    slm_device_name: str | None = None


def runs_of_llama_bench(
    rows: Any, subject: str, device_name: str | None
) -> Iterator[tuple[StoredRun, dict[str, Any]]]:
    """Each test as a run, with what stands in for its artifact's manifest.

    Args:
        rows: the file's JSON: a list of objects.
        subject: the file's name, for errors.
        device_name: what to call the device.

    Raises:
        ImportInvalid: not what llama-bench writes, a test of no tokens, one whose figures contradict its
            samples, or one of the future.
    """
    if not isinstance(rows, list):
        raise ImportInvalid(
            "is not a list of llama-bench's tests",
            subject=subject,
            next_step="Write the file with: llama-bench -o json",
        )
    unnamed = _sha256(rows)
    for number, row in enumerate(rows, start=1):
        try:
            test = LlamaBenchTest.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the row"
            raise ImportInvalid(
                f"test {number}: {field}: {first['msg']}",
                subject=subject,
                next_step="Nothing was imported. Expected is what `llama-bench -o json` writes.",
            ) from None
        if _is_unknown_build(test):
            # Two of them are never one version.
            test = test.model_copy(update={"build_commit": f"{UNKNOWN_BUILD}{unnamed[:8]}"})
        if _AFTER_PROMPT.fullmatch(test.test):
            # The prompt is only the depth at which tokens are generated, and is not timed.
            test = test.model_copy(update={"n_depth": test.n_depth + test.n_prompt, "n_prompt": 0})
        if test.n_prompt + test.n_gen == 0:
            raise ImportInvalid(
                f"test {number} has neither prompt nor generated tokens",
                subject=subject,
                next_step="Nothing was imported. Measure with -p, -n or -pg.",
            )
        _check(test, number, subject)
        yield (
            _run(test, row, _device(test, device_name, unnamed)),
            {"imported_from": "llama-bench", "model_filename": test.model_filename},
        )


def _is_unknown_build(test: LlamaBenchTest) -> bool:
    """Whether llama.cpp was built where git could not be asked, as from a release's archive."""
    return _engine(test)[0] == LLAMA_CPP and test.build_commit.strip().lower() in _NO_COMMIT


def _check(test: LlamaBenchTest, number: int, subject: str) -> None:
    found = contradiction(
        tokens=test.n_prompt + test.n_gen,
        samples_ns=test.samples_ns,
        samples_ts=test.samples_ts,
        avg_ns=test.avg_ns,
        avg_ts=test.avg_ts,
    )
    if found:
        raise ImportInvalid(
            f"test {number}: {found}",
            subject=subject,
            next_step="Nothing was imported. Take the file as llama-bench wrote it, or leave this test out.",
        )
    if is_in_future(test.test_time):
        raise ImportInvalid(
            f"test {number}: test_time is {test.test_time.isoformat()}, and now is "
            f"{datetime.now(UTC).isoformat(timespec='seconds')}",
            subject=subject,
            next_step="Nothing was imported. Set this machine's clock; or, if that of the device was wrong, "
            "write the day of the measurement into test_time.",
        )


def _run(test: LlamaBenchTest, row: dict[str, Any], device: Device) -> StoredRun:
    artifact = _artifact(test)
    started_ns = int(test.test_time.timestamp()) * NS_PER_S
    engine, version = _engine(test)
    tokens = test.n_prompt + test.n_gen
    rates = [tokens_per_second(tokens, ns) for ns in test.samples_ns]
    rate, spread = statistics.median(rates), statistics.stdev(rates) if len(rates) > 1 else None
    # Of -pg: one time for prompt and generation together, which is neither's.
    combined = test.n_prompt > 0 and test.n_gen > 0
    prefill, decode = test.n_prompt > 0 and not combined, test.n_gen > 0 and not combined
    run = Run(
        id=_id(test, row, device),
        device_key=device.key,
        artifact_sha256=artifact.sha256,
        status="ok",
        error=None,
        protocol=PROTOCOL,
        created_unix_ns=started_ns,
        toolkit_version="",
        engine=engine,
        engine_version=version,
        runner_version=test.build_commit[:32],
        kernels=None,
        abi="unknown",
        bundle_sha256=_sha256([engine, version]),
        argv=("llama-bench",),
        exit_code=None,
        prompt_tokens=test.n_prompt,
        # Ours counts the token that the prefill gives; llama-bench's prefill gives none.
        generate_tokens=test.n_gen + 1,
        depth=test.n_depth,
        # Builds of 2023 have batches only.
        prefill_chunk=test.n_ubatch or test.n_batch,
        context_length=test.n_depth + test.n_prompt + test.n_gen,
        warmup=1,
        repetitions=len(test.samples_ns),
        threads=test.n_threads,
        affinity=_cpus(test.cpu_mask),
        prefill_tokens_per_second=rate if prefill else None,
        prefill_stdev=spread if prefill else None,
        decode_tokens_per_second=rate if decode else None,
        decode_stdev=spread if decode else None,
        ttft_ns=round(statistics.median(test.samples_ns)) if prefill else None,
        settings=settings_of({**row, "backends": ""} if engine != LLAMA_CPP else row),
    )
    repetitions = tuple(
        Repetition(
            index=index,
            warmup=False,
            started_unix_ns=started_ns,
            prefill_ns=ns if prefill else None,
            decode_ns=(),
            decode_total_ns=ns if decode else 0,
        )
        for index, ns in enumerate(test.samples_ns)
    )
    measured = [measurement("combined_ns", ns, index) for index, ns in enumerate(test.samples_ns)]
    return StoredRun(
        run=run,
        device=device,
        artifact=artifact,
        repetitions=repetitions,
        conditions=(),
        measurements=(measurement("combined_tokens_per_second", rate), *measured) if combined else (),
    )


def serial_of(key: str) -> str:
    """What to call a device that nobody named."""
    return f"llama-bench-{key[:8]}"


def _id(test: LlamaBenchTest, row: dict[str, Any], device: Device) -> str:
    """That of the run in the store that exported it, unless it is said to be of another device."""
    if test.slm_run_id is not None and device.key == test.slm_device_key:
        return test.slm_run_id
    return id_of_content([row, device.key])


def _device(test: LlamaBenchTest, name: str | None, unnamed: str) -> Device:
    """The device; ``unnamed`` stands for one that nothing names."""
    emulated = test.cpu_info.startswith(_EMULATED)
    model = test.cpu_info.removeprefix(_EMULATED)
    known = [name, test.cpu_info, test.gpu_info]
    named = name or names_a_chip(model) or names_a_chip(test.gpu_info)
    identity = _sha256(known if named else [*known, unnamed])
    if name is None and test.slm_device_key is not None:
        identity, name = test.slm_device_key, test.slm_device_name
    return Device(
        key=identity,
        serial=name or serial_of(identity),
        kind="imported",
        emulated=emulated,
        manufacturer=None,
        model=model or None,
        soc=test.gpu_info or None,
        abi=None,
        os_version=None,
        api_level=None,
        build=None,
        cpu_cores=None,
        ram_bytes=None,
    )


def _artifact(test: LlamaBenchTest) -> Artifact:
    name = file_name(test.model_filename)
    quantization = quantization_of(test.model_type, test.model_filename)
    engine, version = _engine(test)
    return Artifact(
        sha256=test.slm_artifact_sha256
        or _sha256([name, test.model_type, test.model_size, test.model_n_params]),
        name=name,
        model=model_of(test.model_filename),
        revision=None,
        model_type=architecture_of(test.model_type)[:64],
        backend=engine,
        backend_version=test.slm_backend_version or version,
        quantization=quantization,
        scheme=quantization[:32],
        group_size=None,
        algorithm="unknown",
        preset=None,
        context_length=0,
        size_bytes=test.model_size,
        unique_parameters=test.model_n_params,
        stored_parameters=test.model_n_params,
    )


def _engine(test: LlamaBenchTest) -> tuple[str, str]:
    """Engine and version; a file that we exported names one of ours."""
    ours = _OURS.fullmatch(test.backends)
    return (ours[1], ours[2][:32]) if ours else (LLAMA_CPP, test.build_commit[:32])


def _cpus(mask: str) -> tuple[int, ...]:
    bits = int(mask.lower().removeprefix("0x") or "0", 16)
    return tuple(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
