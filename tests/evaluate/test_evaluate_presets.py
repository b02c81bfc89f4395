"""The presets: what they ask, of tasks as the harness has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import TaskDataMissing, UsageError
from toolkit.evaluate.tasks.harness import Tasks
from toolkit.evaluate.tasks.presets import PRESETS, group_means


def test_the_tasks_of_the_survey_and_their_means() -> None:
    names = {task for one in PRESETS["survey"].rounds for task in one.tasks}
    assert len(names) == 12
    scores = {name: 0.5 for name in names} | {"hellaswag": 0.57, "gsm8k": 0.1}
    means = group_means(scores)
    assert means == {
        "commonsense": pytest.approx(0.51),
        "problem solving": 0.5,
        "mathematics": pytest.approx(0.3),
        "Acc(Avg)": pytest.approx(0.505),
    }
    assert group_means({"gsm8k": 1.0}) == {}
    assert [one.shots for one in PRESETS["in-context"].rounds] == [0, 1, 5]
    assert [len(one.tasks) for one in PRESETS["in-context"].rounds] == [8, 7, 7]


# Of the harness's thousands of tasks, those that the presets name.
PRESET_FOLDERS = (
    *("arc", "benchmarks", "commonsense_qa", "gsm8k", "hellaswag", "minerva_math", "mmlu/default"),
    *("openbookqa", "piqa", "super_glue/boolq", "truthfulqa", "winogrande"),
)


@pytest.fixture(scope="module")
def preset_tasks() -> dict[str, Any]:
    """Entries of the presets' tasks, groups by those of their parts."""
    import lm_eval.tasks
    from lm_eval.tasks._index import TaskIndex

    root = Path(lm_eval.tasks.__file__).parent
    index = TaskIndex.build([root / folder for folder in PRESET_FOLDERS])
    found: dict[str, Any] = {}
    left = [task for preset in PRESETS.values() for one in preset.rounds for task in one.tasks]
    while left:
        name = left.pop()
        entry = index[name]
        children = (entry.cfg or {}).get("task") if entry.yaml_path else sorted(entry.tags)
        if isinstance(children, list):
            left += children
        else:
            found[name] = entry
    return found


def test_examples_are_asked_for_of_tasks_that_take_them(preset_tasks: dict[str, Any]) -> None:
    """The harness leaves tasks that say 0 at that, whatever is asked of them."""
    for preset in PRESETS.values():
        for one in preset.rounds:
            fixed = [task for task in one.tasks if task in preset_tasks and one.shots]
            assert [task for task in fixed if preset_tasks[task].cfg.get("num_fewshot") == 0] == []
    assert preset_tasks["truthfulqa_mc2"].cfg["num_fewshot"] == 0


def test_every_function_of_the_presets_can_be_imported(preset_tasks: dict[str, Any], tmp_path: Path) -> None:
    """All but Minerva Math's by what the toolkit's extra brings; theirs say what to install."""
    from importlib.util import find_spec

    from lm_eval.tasks._yaml_loader import load_yaml

    assert len(preset_tasks) > 70
    maths = {name for name in preset_tasks if name.startswith("minerva_math")}
    assert len(maths) == 7
    for name, entry in preset_tasks.items():
        if name not in maths:
            assert load_yaml(entry.yaml_path, resolve_func=True)["task"] == name
    folder = preset_tasks["minerva_math_algebra"].yaml_path.parent
    wanted = UsageError if find_spec("math_verify") is None else TaskDataMissing
    with pytest.raises(wanted) as refused:
        Tasks(folder).load(["minerva_math_algebra"])
    if wanted is UsageError:
        assert refused.value.next_step == "Install them: pip install 'lm-eval[math]'"


@pytest.mark.soak
def test_the_harness_knows_every_task_of_the_presets() -> None:
    from lm_eval.tasks import TaskManager

    known = set(TaskManager().all_tasks)
    asked = {task for preset in PRESETS.values() for one in preset.rounds for task in one.tasks}
    assert asked <= known
