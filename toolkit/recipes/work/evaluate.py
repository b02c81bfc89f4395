"""Evaluating: one artifact, kept in the store exactly once."""

from __future__ import annotations

from typing import Any

from toolkit.export.quiet import hush_libraries

hush_libraries()

import torch  # noqa: E402

from toolkit.evaluate.request import NeedleRequest, TaskRequest, TextRequest  # noqa: E402
from toolkit.evaluate.stored.run import keep_needles, keep_tasks, keep_text  # noqa: E402
from toolkit.evaluate.stored.score_rows import sampled_of  # noqa: E402
from toolkit.evaluate.subject import subject_of  # noqa: E402
from toolkit.recipes.kinds.evaluate import EvaluateWork  # noqa: E402
from toolkit.recipes.share import obtained  # noqa: E402
from toolkit.recipes.work.profile import serial_of  # noqa: E402
from toolkit.recipes.workspace import Workspace  # noqa: E402
from toolkit.settings import Settings  # noqa: E402
from toolkit.store import open_store  # noqa: E402
from toolkit.store.evaluations import known_evaluations, scores_of  # noqa: E402


def run(work: EvaluateWork, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Evaluate, unless the store has it already: an attempt that was killed right after it had kept it.

    Raises:
        ToolkitError: see `toolkit.evaluate`.
    """
    torch.set_num_threads(work.threads)
    identity = work.evaluation_ids[-1]
    artifact = obtained(work.artifact, workspace)
    with open_store(settings.store_url) as store:
        known = known_evaluations(store, work.evaluation_ids)
        kept = next((one for one in work.evaluation_ids if one in known), None)
        if kept is None:
            subject = subject_of(str(artifact.path), settings)
            request = work.request
            if isinstance(request, TextRequest):
                keep_text(subject, request, settings, store, identity=identity)
            else:
                there = request.model_copy(update={"device": serial_of(request.device or "local", settings)})
                if isinstance(there, TaskRequest):
                    kept_now = keep_tasks(subject, there, settings, store, identity=identity)
                    for metric in kept_now.left_out:
                        print(f"left out, it is no number: {metric}")
                if isinstance(there, NeedleRequest):
                    keep_needles(subject, there, settings, store, identity=identity)
        scores = scores_of(store, kept or identity)
        sampled = sampled_of(store, kept or identity)
    if sampled is not None:
        print(sampled)
    return {
        "evaluation": kept or identity,
        "artifact": work.artifact,
        "what": work.what,
        "unique_parameters": artifact.manifest.architecture.unique_parameters,
        "scores": [
            {"task": one.task, "shots": one.shots, "metric": one.metric, "value": one.value} for one in scores
        ],
        "sampled": sampled.model_dump() if sampled is not None else None,
        "found": kept is not None,
        "alike": list(work.alike),
    }
