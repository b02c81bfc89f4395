"""Sets of tasks by one name, and the group means of the survey.

"Small Language Models: Survey, Measurements, and Insights" (Lu, Li et al., arXiv 2409.15790), sections 3.1 to
3.3: twelve tasks in three groups, five shots; a group's score is the plain mean of its tasks' accuracies, and
"Acc(Avg)" the mean of the first two groups. The paper does not name the metric of each task: where the
harness has several, ``acc`` is taken, which fits the authors' published values best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

COMMONSENSE = (
    "hellaswag",
    "truthfulqa_mc2",
    "winogrande",
    "commonsense_qa",
    "piqa",
    "openbookqa",
    "boolq",
)
PROBLEM_SOLVING = ("arc_easy", "arc_challenge", "mmlu")
MATHEMATICS = ("gsm8k", "minerva_math")
IN_CONTEXT = (
    "arc_challenge",
    "hellaswag",
    "winogrande",
    "mmlu",
    "truthfulqa_mc2",
    "commonsense_qa",
    "piqa",
    "openbookqa",
)
GROUPS = {"commonsense": COMMONSENSE, "problem solving": PROBLEM_SOLVING, "mathematics": MATHEMATICS}
# Their examples are part of the task, and no others can be had: the harness counts TruthfulQA's six as none,
# and Minerva Math's four as four.
OWN_SHOTS = ("truthfulqa_mc2", "minerva_math")


@dataclass(frozen=True)
class Round:
    """Tasks with one number of examples; ``shots`` None leaves it to each task."""

    tasks: tuple[str, ...]
    shots: int | None


@dataclass(frozen=True)
class Preset:
    """Rounds by one name; ``limit``: items of each task, None for all."""

    about: str
    rounds: tuple[Round, ...]
    limit: int | None = None


def _survey(shots: int) -> tuple[Round, ...]:
    tasks = tuple(task for group in GROUPS.values() for task in group)
    return (Round(_free(tasks), shots), Round(OWN_SHOTS, None))


def _free(tasks: Sequence[str]) -> tuple[str, ...]:
    """Those that take as many examples as one likes."""
    return tuple(task for task in tasks if task not in OWN_SHOTS)


PRESETS: Mapping[str, Preset] = {
    "survey": Preset("the survey's twelve tasks, 5 shots where a task has none of its own", _survey(5)),
    "in-context": Preset(
        "the survey's eight tasks for in-context learning, 0, 1 and 5 shots",
        (Round(IN_CONTEXT, 0), *(Round(_free(IN_CONTEXT), shots) for shots in (1, 5))),
    ),
    "quick": Preset(
        "100 items of each of four tasks, 0 shots: minutes",
        (Round(("arc_easy", "hellaswag", "piqa", "winogrande"), 0),),
        limit=100,
    ),
}


def group_means(accuracies: Mapping[str, float]) -> dict[str, float]:
    """Means of the survey's groups of which every task is there, and "Acc(Avg)".

    Args:
        accuracies: of tasks, by name.
    """
    means = {
        group: fmean(accuracies[task] for task in tasks)
        for group, tasks in GROUPS.items()
        if all(task in accuracies for task in tasks)
    }
    first_two: Sequence[str] = ("commonsense", "problem solving")
    if all(group in means for group in first_two):
        means["Acc(Avg)"] = fmean(means[group] for group in first_two)
    return means
