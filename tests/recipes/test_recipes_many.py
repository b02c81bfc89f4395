"""A plan of 200 steps: the local pool and Ray make the same of it."""

from __future__ import annotations

import time

import pytest
from recipe_process import SlmRecipe

MANY = """schema: slm-recipe/1
name: many
convert:
  model: [random:llama-tiny, random:qwen3-tiny, random:mistral-tiny, random:qwen2-tiny]
  quant: [8da4w, 4w, 8da8w, 8w]
  group_size: [16, 32]
  algorithm: [rtn, hqq]
  context: [128, 256]
  include:
    - {backend: executorch, quant: [8da4w, 8da8w, fp32], group_size: null, context: [64, 128, 192, 256]}
    - {quant: [fp32, fp16], group_size: null, context: [64, 96, 128, 160, 192, 256]}
    - {model: random:phi3-tiny, group_size: 32, quant: [8da4w, 8da8w], context: [64, 128]}
    - model: [random:gemma3-tiny, random:gpt2-tiny]
      group_size: 16
      quant: [8da4w, 8w]
      context: [64, 128, 192]
    - model: random:qwen3-tiny
      group_size: 32
      algorithm: [rtn, hqq]
      quant: [8da4w, 8da8w]
      context: [32, 48, 64, 80, 96, 112, 144, 160, 176]
"""


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_steps_with_both_executors(slm_recipe: SlmRecipe) -> None:
    results = {}
    for executor in ("local", "ray"):
        place = SlmRecipe(slm_recipe.folder / executor)
        place.folder.mkdir()
        recipe = place.write(MANY)
        started = time.monotonic()
        try:
            done = place.run("run", recipe, "--executor", executor, "--keep-going", timeout_s=1700)
            assert done.returncode == 0, done.stderr[-3000:]
        finally:
            place.kill_all()
        print(f"{executor}: {time.monotonic() - started:.0f} s")
        results[executor] = place.artifacts()
    assert len(results["local"]) >= 200
    assert results["local"] == results["ray"]
