"""docs/reference is what the code says."""

from __future__ import annotations

import re

import pytest
from documents import DOCS, ROOT, generator


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    pages: dict[str, str] = generator().pages()
    return pages


def test_no_page_has_drifted_from_the_code(made: dict[str, str]) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "reference").iterdir()}
    drifted = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not drifted, f"docs/reference/{{{','.join(drifted)}}} differ from the code; run: make docs"


def test_the_table_of_families_is_what_was_measured() -> None:
    kept = (DOCS / "families.md").read_text(encoding="utf-8")
    assert kept == generator().families(), "docs/families.md differs from the measurements; run: make docs"


def test_the_readme_counts_what_the_table_of_families_counts() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(r"Of (\d+) tiny configs, .*? of (\d+) model types, (\d+) agree likewise on each", readme)
    counted = re.findall(r"(\d+) of (\d+) configs \(of \d+ of (\d+) model types", generator().families())
    assert said is not None and len(counted) == 2
    for agree, configs, types in counted:
        assert said.groups() == (configs, types, agree)


def test_no_page_depends_on_the_terminal(made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert generator().command_line() == made["cli.md"]


def test_a_model_type_is_listed_only_for_what_a_test_was_collected() -> None:
    fp32 = "test_fp32_logits_equal_transformers_over_prefill_and_decode"
    quantized = "test_quantized_artifacts_stay_close_to_transformers"
    page = generator().support(
        [
            f"tests/export/test_export_model_types.py::{fp32}[llama]",
            f"tests/export_executorch/test_executorch_model_types.py::{quantized}[8da4w-llama]",
            f"tests/export/test_export_model_types.py::{quantized}[8da8w-gpt2]",
        ]
    )
    assert "| llama | fp32 | 8da4w |" in page and "| gpt2 | 8da8w | - |" in page
