"""`python -m benchmarks.scoring`: our artifact beside lm-eval's own HF model, on the same tasks.

Both answer the same items of two made-up tasks in one process, one after the other, with equal threads: the
harness's HFLM in fp32 on the CPU, once for each batch size, and the artifact in our runner. HFLM's loading is
not counted, the start of our runner is. The tasks are made of Query 31 of Newton's Opticks: `endings` asks
for the second half of a sentence among four (long continuations, no examples, as in HellaSwag), `words` for
a sentence's last word among four (short ones, five examples, as in ARC).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

import toolkit
from benchmarks.cli import OUT
from benchmarks.machine import cpu_busy, describe_cpu
from toolkit.devices.local import LocalDevice
from toolkit.evaluate.needle.haystack import text
from toolkit.evaluate.on_device.asking import Asking
from toolkit.evaluate.on_device.kept import KeptAnswers
from toolkit.evaluate.on_device.runner_scorer import RunnerScorer
from toolkit.evaluate.tasks import harness
from toolkit.progress import silent
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.demo_wheel import DEMO

CHOICES = 4
# Examples in front of each item.
TASKS: Mapping[str, int] = {"endings": 0, "words": 5}
# Sentences that stand before the one that is asked about.
_BEFORE = {"endings": 2, "words": 1}
_LEAST_WORDS = 12
_SEED = 1

_YAML = """\
task: {name}
output_type: multiple_choice
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
    validation: {data}
test_split: test
fewshot_split: validation
num_fewshot: {shots}
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: " "
metadata: {{version: 1.0}}
"""


@dataclass(frozen=True)
class Took:
    """One model's turn on a task.

    Attributes:
        seconds: for all items.
        chosen: index of the likeliest choice of each item.
        accuracy: share of items where that is the right one.
    """

    seconds: float
    chosen: tuple[int, ...]
    accuracy: float


def task_items(name: str, count: int) -> list[dict[str, Any]]:
    """Items of a task: a context, four ways to go on, and the index of the true one.

    Args:
        name: of :data:`TASKS`.
        count: how many; sentences are asked about again where the text has too few.
    """
    chance = random.Random(_SEED)
    sentences = [" ".join(one.split()) for one in re.split(r"(?<=[.?!])\s+", text())]
    asked = [index for index, one in enumerate(sentences) if index and len(one.split()) >= _LEAST_WORDS]
    cut = {index: len(sentences[index].split()) // 2 if name == "endings" else -1 for index in asked}
    endings = {index: " ".join(sentences[index].split()[cut[index] :]) for index in asked}
    items = []
    for number in range(count):
        index = asked[number % len(asked)]
        begun = " ".join(sentences[index].split()[: cut[index]])
        before = sentences[max(0, index - _BEFORE[name]) : index]
        others = sorted({one for one in endings.values() if one != endings[index]})
        choices = [endings[index], *chance.sample(others, CHOICES - 1)]
        chance.shuffle(choices)
        answer = choices.index(endings[index])
        items.append({"context": " ".join([*before, begun]), "choices": choices, "answer": answer})
    return items


def write_task_files(folder: Path, count: int) -> None:
    """The YAML files of all tasks, and their data beside them."""
    for name, shots in TASKS.items():
        data = folder / f"{name}.jsonl"
        data.write_text("".join(json.dumps(item) + "\n" for item in task_items(name, count)))
        (folder / f"{name}.yaml").write_text(_YAML.format(name=name, data=data, shots=shots))


def write_model(model: str, folder: Path, settings: Settings) -> None:
    """A model's weights in fp32 as transformers reads them."""
    source = resolve(model, settings)
    folder.mkdir()
    source.config.save_pretrained(folder)
    tensors = {name: source.weights.read(name).contiguous() for name in source.weights.names()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    source.write_tokenizer(folder)


def turn(model: Any, task: str, manager: Any) -> Took:
    """All items of a task on a model of the harness's."""
    from lm_eval import simple_evaluate

    started = time.monotonic()
    found: dict[str, Any] = simple_evaluate(
        model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    seconds = time.monotonic() - started
    samples = sorted(found["samples"][task], key=lambda one: int(one["doc_id"]))
    chosen = []
    for sample in samples:
        likelihoods = [float(one[0][0]) if isinstance(one[0], list | tuple) else float(one[0])
                       for one in sample["resps"]]  # fmt: skip
        chosen.append(likelihoods.index(max(likelihoods)))
    return Took(seconds, tuple(chosen), float(found["results"][task]["acc,none"]))


def our_model(artifact: toolkit.Artifact, threads: int, kept: Path, settings: Settings) -> Any:
    """The artifact in our runner as the harness sees it; nothing is known from earlier runs."""
    from toolkit.evaluate.tasks.model import Limits, ScoredModel, tokenizer_of

    asking = Asking(
        lambda: RunnerScorer(LocalDevice(settings), artifact, settings, threads=threads),
        KeptAnswers(kept),
        silent,
    )
    manifest = artifact.manifest
    limits = Limits(manifest.context_length, manifest.architecture.vocab_size)
    return ScoredModel(artifact.name, tokenizer_of(artifact.path, artifact.name), asking, limits)


def main() -> int:
    """Measure and print; 1 where ours is not as many times as fast as was asked for."""
    options = _arguments()
    harness.prepare()
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    settings = Settings.from_environment()
    artifact = toolkit.convert(
        options.model, OUT / "models" / f"scoring-{options.quant}", force=True, quant=options.quant
    )
    torch.set_num_threads(options.threads)
    work = Path(tempfile.mkdtemp(prefix="scoring-"))
    try:
        write_model(options.model, work / "fp32", settings)
        write_task_files(work, options.items)
        manager = TaskManager(include_path=str(work), include_defaults=False)
        print(
            f"{describe_cpu()}, {options.threads} threads, {options.items} items of each task, "
            f"others took {cpu_busy():.0%} of the CPUs at the start\n\n"
            "| task | shots | model | seconds | items/s | accuracy | chooses as HF |\n"
            "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
            flush=True,
        )
        fastest, ours = 0.0, 0.0
        for task, shots in TASKS.items():
            turns: dict[str, Took] = {}
            for batch in options.batch_sizes:
                hf = HFLM(pretrained=str(work / "fp32"), device="cpu", dtype="float32", batch_size=batch)
                turns[f"lm-eval HF fp32, batch {batch}"] = turn(hf, task, manager)
                del hf
            fastest += min(one.seconds for one in turns.values())
            model = our_model(artifact, options.threads, work / f"{task}-kept.jsonl", settings)
            turns[f"slm-toolkit {options.quant}"] = last = turn(model, task, manager)
            ours += last.seconds
            theirs = next(iter(turns.values())).chosen
            for name, one in turns.items():
                alike = sum(a == b for a, b in zip(one.chosen, theirs, strict=True)) / len(theirs)
                print(
                    f"| {task} | {shots} | {name} | {one.seconds:.1f} | {len(theirs) / one.seconds:.2f} | "
                    f"{one.accuracy:.3f} | {alike:.1%} |",
                    flush=True,
                )
    finally:
        shutil.rmtree(work)
    ratio = fastest / ours
    print(f"\nours over the fastest HF of each task: {ratio:.2f}x (wanted: {options.least:g}x)")
    return 0 if ratio >= options.least else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default=DEMO.model_name, help="as slm convert takes it; default %(default)s"
    )
    parser.add_argument("--quant", default="8da4w", help="of our artifact; default %(default)s")
    # Examples are drawn from the items.
    parser.add_argument(
        "--items", type=int, choices=range(8, 10_000), default=40, metavar="N", help="of each task, 8 or more"
    )
    parser.add_argument("--threads", type=int, default=2, help="default %(default)s")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 8], help="of HFLM; default %(default)s"
    )
    parser.add_argument(
        "--least", type=float, default=2.0, help="how many times as fast; default %(default)s"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
