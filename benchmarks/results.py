"""Everything that one run measured; latest.json is this, and the table is made from it alone."""

from __future__ import annotations

from benchmarks.machine import Machine
from benchmarks.samples import ConversionCost, Frozen, ProfileSample, Score

SCHEMA = "slm-benchmark/1"


class Round(Frozen):
    """One process of one row. ``busy_before`` is the share of CPU time others took just before it."""

    round: int
    position: int
    busy_before: float
    sample: ProfileSample


class Row(Frozen):
    """One row of the table; ``failure`` says why what is missing is missing."""

    name: str
    title: str
    engine: str = "onnxruntime"
    notes: str
    files_bytes: int | None = None
    conversions: list[ConversionCost] = []
    rounds: list[Round] = []
    score: Score | None = None
    versions: dict[str, str] = {}
    failure: str | None = None


class Results(Frozen):
    """One run of `python -m benchmarks`."""

    schema_name: str = SCHEMA
    finished_utc: str
    quick: bool
    model: str
    model_sha256: str
    prompt_tokens: int
    generate_tokens: int
    threads: int
    rounds: int
    warmup: int
    repetitions: int
    windows: int
    window_tokens: int
    text: str
    text_sha256: str
    machine: Machine
    reference: Score | None
    reference_failure: str | None = None
    rows: list[Row]

    def row(self, name: str) -> Row | None:
        """A row by name."""
        return next((row for row in self.rows if row.name == name), None)
