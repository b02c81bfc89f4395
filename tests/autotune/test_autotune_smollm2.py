"""The search that docs/quantization.md shows, with the model that it speaks of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recipe_process import SlmRecipe

from toolkit.export.request import DEFAULT_QUANT


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_the_front_holds_a_point_as_good_as_the_preset_in_size_and_loss(tmp_path: Path) -> None:
    search = SlmRecipe(tmp_path, verb="autotune")
    try:
        done = search.run("SmolLM2-135M-Instruct", "--max-mb", "92", "--json", timeout_s=2 * 3600)
    finally:
        search.kill_all()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == [] and len(found["measured"]) == 8
    [preset] = [one for one in found["measured"] if one["quantization"] == DEFAULT_QUANT]
    front = [one for one in found["measured"] if one["on_front"]]
    assert all(one["size_bytes"] <= 92e6 for one in front)
    assert any(
        one["size_bytes"] <= preset["size_bytes"] and one["mean_kl"] <= preset["mean_kl"] for one in front
    )
