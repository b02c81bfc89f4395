"""What cannot be scored is refused, and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness_scores import evaluate
from own_tasks import write_tasks

from toolkit.artifact import Artifact
from toolkit.errors import (
    ContextTooShort,
    EvaluationError,
    TaskDataMissing,
    TaskInvalid,
    TokenizerMismatch,
    ToolkitError,
    UnknownTask,
    UsageError,
)
from toolkit.evaluate.on_device.asking import Asking
from toolkit.evaluate.on_device.kept import KeptAnswers
from toolkit.settings import Settings


def write_yaml(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(f"task: {name}\n{text}")


def test_what_cannot_be_scored_says_why(
    onnx: Artifact, original: Path, tasks: Path, settings: Settings, tmp_path: Path
) -> None:
    write_tasks(tmp_path)
    start = (tmp_path / "own_choice.yaml").read_text().partition("\n")[2]
    write_yaml(tmp_path, "own_long", start.replace("{{question}}", "{{question}} " + "and on " * 60))
    write_yaml(tmp_path, "own_broken", start.replace("multiple_choice", "no_such_type"))
    write_yaml(tmp_path, "own_absent", start.replace("items.jsonl", "none.jsonl"))
    sampled = (tmp_path / "own_writing.yaml").read_text().partition("\n")[2]
    write_yaml(tmp_path, "own_sampled", sampled.replace("do_sample: false", "do_sample: true"))
    write_yaml(tmp_path, "own_code", start + "unsafe_code: true\n")
    write_yaml(tmp_path, "own_pictures", start + "doc_to_image: picture\n")
    write_yaml(tmp_path, "own_needs", start + "process_docs: !function needing.docs\n")
    (tmp_path / "needing.py").write_text("import no_such_package.inner\n")
    write_yaml(tmp_path, "own_typo", start + "process_docs: !function neding.docs\n")
    (tmp_path / "cut.yaml").write_text("task: [\n")
    for group, inner in (("own_egg", "own_hen"), ("own_hen", "own_egg")):
        (tmp_path / f"{group}.yaml").write_text(f"group: {group}\ntask: [{inner}]\n")
    refused: list[tuple[str, dict[str, Any], type[ToolkitError], str]] = [
        ("own_code", {}, EvaluationError, "own_code: runs the code that a model writes"),
        ("own_pictures", {}, EvaluationError, "own_pictures: shows pictures"),
        (
            "own_needs",
            {},
            UsageError,
            "own_needs.*import no_such_package, .*pip install no_such_package$",
        ),
        ("own_typo", {}, TaskInvalid, "own_typo.*neding"),
        (str(tmp_path / "cut.yaml"), {}, TaskInvalid, "cut.yaml.*Correct its YAML"),
        ("own_egg", {}, TaskInvalid, "own_egg, which holds own_hen, which holds own_egg"),
        ("own_chioce", {}, UnknownTask, "'own_choice'"),
        ("own_absent", {}, TaskDataMissing, "none.jsonl.*--fetch-only"),
        ("own_broken", {}, TaskInvalid, "no_such_type"),
        ("own_long", {}, ContextTooShort, "own_long.*--shots"),
        ("own_sampled", {}, EvaluationError, "do_sample: false"),
        (",", {}, UsageError, "--tasks"),
        ("survey", {"shots": 3}, UsageError, "--shots"),
        ("quick,own_choice", {}, UsageError, "quick.*stands alone.*--tasks quick"),
        ("own_choice", {"include_path": tmp_path / "none"}, UsageError, "no folder"),
    ]
    for names, options, kind, words in refused:
        with pytest.raises(kind, match=f"(?s){words}"):
            evaluate(onnx, tmp_path, settings, names, **options)
    with pytest.raises(UsageError, match="--device runs artifacts"):
        evaluate(original, tmp_path, settings, "own_choice", device="local")
    with pytest.raises(UsageError, match="OMP_NUM_THREADS=3"):
        evaluate(original, tmp_path, settings, "own_choice", threads=3)
    found = evaluate(onnx, tmp_path, settings, "own_long", truncate=True, limit=2)
    assert found.scores[0].n == 2


def test_a_tokenizer_of_another_model_is_refused(onnx: Artifact, tasks: Path, settings: Settings) -> None:
    from toolkit.evaluate.subject import subject_of
    from toolkit.evaluate.tasks.model import Limits, ScoredModel, tokenizer_of

    subject = subject_of(str(onnx.path), settings)
    tokenizer = tokenizer_of(onnx.path, subject.name)
    nobody = Asking(list, KeptAnswers(tasks / "x"), print)  # type: ignore[arg-type]
    model = ScoredModel(subject.name, tokenizer, nobody, Limits(64, 70))
    with pytest.raises(TokenizerMismatch, match="70 embeddings"):
        model._loglikelihood_tokens([(("", ""), [5, 71], [6])])
