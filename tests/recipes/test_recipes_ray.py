"""A Ray cluster of two nodes: the same results as the local pool, also when a node is lost in the middle."""

from __future__ import annotations

import importlib.util
import json
import signal
from collections.abc import Iterator

import pytest
from ray_nodes import add_node, cluster
from recipe_process import SlmRecipe, wait_until

from toolkit.devices.given_names import NamedDevice, give_name
from toolkit.errors import BatchError
from toolkit.recipes.executors.cluster_devices import node_resources

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: pip install -e '.[ray]'"),
    pytest.mark.serial,
]

CONVERSIONS = """schema: slm-recipe/1
name: spread
convert:
  model: [random:llama-tiny, random:qwen3-tiny]
  backend: [onnxruntime, executorch]
  quant: [8da4w, fp32]
"""
STEPS = 8
PHONES = ["R5CT10ABCDE", "R9WX20FGHIJ"]
LARGE = """schema: slm-recipe/1
name: large
convert: {{model: "random:tinyllama-1.1b", quant: 8w}}
limits: {limits}
"""


def test_a_lost_node_does_not_harm_the_result(slm_recipe: SlmRecipe) -> None:
    recipe = slm_recipe.write(CONVERSIONS)
    with cluster(head_cpus=1) as made:
        doomed = add_node(made, cpus=1)
        slm_recipe.environ["RAY_ADDRESS"] = made.address
        process = slm_recipe.start("run", recipe, "--executor", "ray", "--json")
        # The doomed node is the one that starts second: kill it while it works.
        wait_until(lambda: _finished(slm_recipe) >= 2 or process.poll() is not None, 200)
        assert process.poll() is None
        made.remove_node(doomed, allow_graceful=False)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        # What the doomed node had written before it could say so is found by the next attempt.
        summary = json.loads(out)
        assert summary["done"] + summary["already"] == STEPS, err
    spread = slm_recipe.artifacts()
    assert len(spread) == STEPS
    assert slm_recipe.leftovers() == []

    local = SlmRecipe(slm_recipe.folder / "local")
    local.folder.mkdir()
    try:
        done = local.run("run", recipe)
        assert done.returncode == 0, done.stderr
        assert local.artifacts() == spread, "the same keys, and the same bytes"
    finally:
        local.kill_all()


@pytest.fixture(scope="module")
def one_node() -> Iterator[str]:
    """Address of a cluster for what one small node is enough for; it says that it has two phones."""
    devices = ("local", "virtual-1", "emulator-5554", *PHONES)
    with cluster(head_cpus=1, resources=node_resources(devices)) as made:
        yield made.address


def test_a_conversion_over_its_memory_budget_is_killed_and_leaves_nothing(
    slm_recipe: SlmRecipe, one_node: str
) -> None:
    slm_recipe.environ["RAY_ADDRESS"] = one_node
    recipe = slm_recipe.write(LARGE.format(limits="{memory_gb: 0.2, retries: 2}"))
    done = slm_recipe.run("run", recipe, "--executor", "ray", "--json")
    assert done.returncode == BatchError.exit_code, done.stderr
    (failed,) = json.loads(done.stdout)["failed"]
    assert "more than its budget of 0.20 GB, and was killed" in failed["error"]
    assert "raise limits.memory_gb" in failed["error"]
    assert done.stderr.count("start ") == 1, "another attempt would need as much"
    assert slm_recipe.artifacts() == {} and slm_recipe.leftovers() == []


def test_a_step_over_its_time_is_killed_as_often_as_it_may_try(slm_recipe: SlmRecipe, one_node: str) -> None:
    slm_recipe.environ["RAY_ADDRESS"] = one_node
    recipe = slm_recipe.write(LARGE.format(limits="{timeout_minutes: 0.02, retries: 1}"))
    done = slm_recipe.run("run", recipe, "--executor", "ray")
    assert done.returncode == BatchError.exit_code
    assert "took longer than 1 s and was killed" in done.stderr
    assert done.stderr.count("start ") == 2
    assert slm_recipe.artifacts() == {} and slm_recipe.leftovers() == []


def test_a_step_that_fits_into_no_node_is_not_begun(slm_recipe: SlmRecipe, one_node: str) -> None:
    slm_recipe.environ["RAY_ADDRESS"] = one_node
    recipe = slm_recipe.write(LARGE.format(limits="{memory_gb: 60000, cpus: 64}"))
    done = slm_recipe.run("run", recipe, "--executor", "ray")
    assert done.returncode == BatchError.exit_code
    assert "needs about 60000.0 GB of memory" in done.stderr


def test_ctrl_c_ends_the_tasks_and_leaves_nothing_half_done(slm_recipe: SlmRecipe, one_node: str) -> None:
    slm_recipe.environ["RAY_ADDRESS"] = one_node
    process = slm_recipe.start("run", slm_recipe.write(LARGE.format(limits="{}")), "--executor", "ray")
    wait_until(lambda: slm_recipe.leftovers() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert slm_recipe.artifacts() == {} and slm_recipe.leftovers() == []


def test_a_device_that_no_node_has_is_said_at_once(slm_recipe: SlmRecipe, one_node: str) -> None:
    slm_recipe.environ["RAY_ADDRESS"] = one_node
    recipe = slm_recipe.write(CONVERSIONS + "profile: {device: R5CT1234567}\n")
    done = slm_recipe.run("run", recipe, "--executor", "ray")
    assert done.returncode == BatchError.exit_code
    assert "no node has the device R5CT1234567" in done.stderr
    assert "slm recipe resources" in done.stderr
    assert all(phone in done.stderr for phone in PHONES), "the names that would do"


def test_phones_are_those_of_all_hosts_of_the_cluster(slm_recipe: SlmRecipe, one_node: str) -> None:
    slm_recipe.environ |= {"RAY_ADDRESS": one_node, "SLM_ADB": "/nonexistent"}
    recipe = slm_recipe.write(CONVERSIONS + "profile: {device: phones}\n")
    steps = slm_recipe.json("plan", recipe, "--executor", "ray")["steps"]
    titles = [step["title"] for step in steps if step["kind"] == "profile"]
    assert len(titles) == STEPS * 2
    assert {title.rpartition(" on ")[2] for title in titles} == set(PHONES)


def test_a_name_that_was_given_to_a_phone_finds_the_host_that_has_it(
    slm_recipe: SlmRecipe, one_node: str
) -> None:
    give_name(NamedDevice(name="pixel7", identity=PHONES[0], serial="1.2.3.4:5555"), slm_recipe.settings)
    slm_recipe.environ |= {"RAY_ADDRESS": one_node, "SLM_ADB": "/nonexistent"}
    recipe = slm_recipe.write(
        "schema: slm-recipe/1\nname: named\nconvert: {model: random:llama-tiny, quant: fp32}\n"
        "profile: {device: pixel7}\n"
    )
    done = slm_recipe.run("run", recipe, "--executor", "ray", "--json")
    summary = json.loads(done.stdout)
    # It was placed, and begun there; that the cluster has such a phone is only said.
    assert summary["done"] == 1, done.stderr
    (failed,) = summary["failed"]
    assert f" on {PHONES[0]}" in failed["step"]
    assert "/nonexistent" in failed["error"]


def test_a_cluster_that_is_not_there(slm_recipe: SlmRecipe) -> None:
    done = slm_recipe.run("run", slm_recipe.write(CONVERSIONS), "--executor", "ray://127.0.0.1:9")
    assert done.returncode == BatchError.exit_code
    assert "cannot be reached" in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_executor(slm_recipe: SlmRecipe) -> None:
    done = slm_recipe.run("run", slm_recipe.write(CONVERSIONS), "--executor", "slurm")
    assert done.returncode == 2
    assert "ray://HOST:PORT" in done.stderr


def _finished(slm_recipe: SlmRecipe) -> int:
    return len(list((slm_recipe.workspace / "artifacts").glob("*/manifest.json")))
