"""What the runner records reaches the store by being named once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from described_runs import as_text, description, result_records

from toolkit.artifact import Artifact
from toolkit.profiling import run_rows
from toolkit.profiling.records import Memory, Result
from toolkit.profiling.session.ending import Ending
from toolkit.profiling.session.result_check import checked_result
from toolkit.store.measurements import VOCABULARY, Quantity


class MemoryWithParts(Memory):
    """A memory record with a field that only this test knows."""

    expert_cache_bytes: int


@pytest.fixture
def made_up() -> Iterator[Quantity]:
    quantity = Quantity("expert_cache_bytes", "B", "memory of the experts, for this test")
    VOCABULARY.register(quantity.name, quantity)
    yield quantity
    VOCABULARY._entries.pop(quantity.name)


def test_a_recorded_field_of_the_vocabularys_name_is_stored(artifact: Artifact, made_up: Quantity) -> None:
    run = description(artifact)
    result = checked_result(as_text(result_records(run)), run)
    memory = MemoryWithParts(**result.memory.model_dump(), expert_cache_bytes=12)
    parts: Result = result.model_copy(update={"memory": memory})
    stored = run_rows.stored_run(run, Ending("ok", 0, result=parts), ())
    assert [(one.name, one.value, one.unit) for one in stored.measurements] == [(made_up.name, 12, "B")]
    assert run_rows.stored_run(run, Ending("throttled", 0, result=parts), ()).measurements == ()
