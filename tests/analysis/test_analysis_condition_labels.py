"""A display name tells apart what the condition key tells apart, for generated keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measured_runs import add_measured

from toolkit.analysis.compare import rank
from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.condition_key import AXES, NEVER, ConditionKey
from toolkit.analysis.groups import load_groups
from toolkit.analysis.noise import NoiseFloors
from toolkit.analysis.regress import Regression, Unpaired
from toolkit.cli.results.comparison_table import conditions_of, conditions_under, unpaired_words
from toolkit.store import Store
from toolkit.store.short_names import model_names

# Values that are written alike, cut alike or shortened alike.
POOLS: dict[str, list[Any]] = {
    "model": ["random:/a/tiny/config.json", "random:/b/tiny/config.json", "org/m", "other/m", "m", "x" * 64],
    "revision": [None, "unknown", "abc"],
    "quantization": ["mobile-4bit", "8da4w g32"],
    "algorithm": ["rtn", "hqq", "gptq"],
    "kernels": [None, "unknown", "own"],
    "threads": [0, 4],
    "affinity": [(), (0,), (0, 1)],
    "device_build": ["1", "2", None],
    "gate_screen_off": [None, True],
    "settings": [(), (("flash_attn", True),), (("flash_attn", "yes"),), (("poll", 50),)],
    "artifact_sha256": ["a" * 64, "a" * 63 + "b", "short"],
    "device_key": ["d" * 64, "e" * 64],
}
CHANGES = st.lists(
    st.fixed_dictionaries({}, optional={part: st.sampled_from(pool) for part, pool in POOLS.items()}),
    min_size=2,
    max_size=8,
)


@given(CHANGES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_and_labels_differ_wherever_keys_do(sqlite_store: Store, changes: list[dict[str, Any]]) -> None:
    found = load_groups(sqlite_store, find_figure("decode"))
    if not found:
        add_measured(sqlite_store, "only")
        found = load_groups(sqlite_store, find_figure("decode"))
    [group] = found
    keys: list[ConditionKey] = list(dict.fromkeys(replace(group.key, **change) for change in changes))
    assert len(set(conditions_of(keys).values())) == len(keys)
    groups = [replace(group, key=key) for key in keys]
    alone = [Unpaired("baseline", one, None, ()) for one in groups]
    under = conditions_under(Regression((), tuple(alone)))
    assert len({unpaired_words(one, under) for one in alone}) == len(keys)
    everything = [axis for axis in AXES if axis not in NEVER]
    for ranking in rank(groups, everything, NoiseFloors([]), find_figure("decode")).rankings:
        labels = [place.label for place in ranking.places]
        assert len(set(labels)) == len(labels)


@given(
    st.lists(st.from_regex(r"(random:)?(/?[ab]{1,2}){0,3}/?(config\.json|m|)", fullmatch=True), max_size=8)
)
def test_names_of_models_differ_wherever_models_do(models: list[str]) -> None:
    names = model_names(models)
    assert len(set(names.values())) == len(set(models))


def test_names_are_short_where_nothing_else_is_called_so() -> None:
    assert model_names(["org/Qwen3-0.6B", "random:llama-tiny", "random:/x/y/tiny/config.json"]) == {
        "org/Qwen3-0.6B": "Qwen3-0.6B",
        "random:llama-tiny": "random:llama-tiny",
        "random:/x/y/tiny/config.json": "random:tiny/config.json",
    }
    assert model_names(["random:/x/a/config.json", "random:/x/b/config.json"]) == {
        "random:/x/a/config.json": "random:a/config.json",
        "random:/x/b/config.json": "random:b/config.json",
    }
