"""Tasks of the tests' own, with local data: one of each kind that the harness has, and few-shot ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

_WORDS = (
    "river meadow willow village spring morning water night house garden letter window silver road".split()
)

_DATA = """\
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
    validation: {data}
test_split: test
"""
_TASKS = {
    "own_choice": """\
task: own_choice
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: " "
fewshot_split: validation
metadata: {version: 3.0}
""",
    "own_letters": """\
task: own_letters
output_type: multiple_choice
doc_to_text: "{{question}}\\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: "{{answer}}"
fewshot_split: validation
metadata: {version: 1.0}
""",
    "own_rolling": """\
task: own_rolling
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - metric: word_perplexity
  - metric: bits_per_byte
metadata: {version: 1.0}
""",
    "own_writing": """\
task: own_writing
output_type: generate_until
doc_to_text: "{{question}}\\n"
doc_to_target: "{{text}}"
generation_kwargs: {until: ["\\n", "z"], max_gen_toks: 12, do_sample: false}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata: {version: 1.0}
""",
}


def write_tasks(folder: Path, items: int = 12) -> Path:
    """YAML files and their data in a folder; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(5)
    data = folder / "items.jsonl"
    rows = []
    for number in range(items):
        choices = [" ".join(chance.choices(_WORDS, k=1 + (number + c) % 3)) for c in range(4)]
        rows.append(
            {
                "question": f"{number}. {' '.join(chance.choices(_WORDS, k=5))}",
                "choices": choices,
                "answer": chance.randrange(4),
                "text": " ".join(chance.choices(_WORDS, k=6 + number % 60)),
            }
        )
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in _TASKS.items():
        (folder / f"{name}.yaml").write_text(text + _DATA.format(data=data))
    return folder
