"""The search itself: rounds of a recipe in the workspace, so that what was built is never built again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toolkit.analysis.pareto import pareto_front
from toolkit.autotune.candidates import Candidate, candidates
from toolkit.autotune.request import AutotuneRequest
from toolkit.autotune.search import Measured, first_ones, next_ones, small_enough
from toolkit.errors import BatchBusy, StepsFailed, UsageError
from toolkit.evaluate.needle.haystack import TEXT
from toolkit.export.estimated_conversion import decoder_of
from toolkit.export.request import DEFAULT_QUANT, ConvertRequest
from toolkit.files import expanded, write_whole
from toolkit.recipes.axes import axes
from toolkit.recipes.batch import Choice, Listener
from toolkit.recipes.execution import OpenExecutor, run_recipe
from toolkit.recipes.plan import make_plan
from toolkit.recipes.schema import LoadedRecipe
from toolkit.recipes.targets import PHONES, virtual_count
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.store import open_store

# Enough to tell candidates apart; a study measures longer.
_RUN = {"prompt_tokens": 64, "generate_tokens": 64, "repetitions": 3, "warmup": 1}


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        considered: candidates, before any was built.
        small_enough: those of them whose estimated size is within the limit.
        measured: what was built, the smallest first.
        failed: label and error of what could not be built or measured.
        front: of what is within all limits, what nothing else beats; the smallest first.
    """

    considered: int
    small_enough: int
    measured: Sequence[Measured]
    failed: Sequence[tuple[str, str]]
    front: Sequence[Measured]


def tune(
    request: AutotuneRequest,
    settings: Settings,
    workspace: Workspace,
    open_executor: OpenExecutor,
    listener: Listener,
) -> Tuned:
    """Search for quantizations within limits; a search that was interrupted goes on where it was.

    Args:
        request: model and limits.
        settings: store and caches.
        workspace: where artifacts and records are.
        open_executor: makes the executor of steps.
        listener: hears what happens.

    Raises:
        UsageError: limits that nothing can keep, a speed limit without a device, or several devices.
        BatchBusy: the same search runs in another process.
        ToolkitError: the model cannot be found.
    """
    if request.min_speed is not None and request.device is None:
        raise UsageError("--min-speed is measured", next_step="Say where: --device local, or a serial.")
    if request.device is not None and (request.device == PHONES or virtual_count(request.device) > 1):
        raise UsageError(
            f"--device {request.device}: speed is measured on one device",
            next_step="Name one: local, virtual, or one of slm devices list.",
        )
    base = ConvertRequest.of(model=_placed(request.model), backend=request.backend, context=request.context)
    everything = candidates(decoder_of(resolve(base.model, settings), settings), base)
    fitting = small_enough(everything, request.max_mb)
    if not fitting:
        smallest = min(one.size_bytes for one in everything) / 1e6
        raise UsageError(
            f"--max-mb {request.max_mb:g}: the smallest candidate has about {smallest:.1f} MB",
            subject=request.model,
            next_step="Allow more, or take a smaller model.",
        )
    tried: list[Candidate] = []
    measured: list[Measured] = []
    failed: list[tuple[str, str]] = []
    more = first_ones(fitting, DEFAULT_QUANT, max(request.tries // 2, 1))
    while more:
        tried += more
        # What has failed would fail again, in each round.
        standing = [*(one.candidate for one in measured), *more]
        measured, also = _round(request, base, standing, settings, workspace, open_executor, listener)
        failed += also
        more = next_ones(fitting, tried, measured, request, min(2, request.tries - len(tried)))
    if not measured:
        label, error = failed[0]
        raise StepsFailed(
            f"no candidate could be built and measured; {label}: {error}",
            subject=request.model,
            next_step=f"See slm recipe status {name_of(request)}.",
        )
    kept = [one for one in measured if one.within(request)]
    return Tuned(
        len(everything),
        len(fitting),
        sorted(measured, key=Measured.costs),
        failed,
        pareto_front(kept, Measured.costs),
    )


def name_of(request: AutotuneRequest) -> str:
    """Of the recipe that a search is: one for each model and engine."""
    model = _placed(request.model)
    words = re.sub(r"[^a-z0-9]+", "-", f"{Path(model).name} {request.backend}".lower()).strip("-")
    # Other owners, folders and revisions have models of the same name.
    told_apart = hashlib.sha256(f"{model} {request.backend}".encode()).hexdigest()[:6]
    return f"{f'autotune-{words}'[:41].rstrip('-')}-{told_apart}"


def recipe_text(request: AutotuneRequest, base: ConvertRequest, chosen: Sequence[Candidate]) -> str:
    """The recipe that builds and measures some candidates."""
    names = [field.name for field in axes(ConvertRequest)]
    combinations = [{name: getattr(one.request, name) for name in names} for one in chosen]
    text = request.text.absolute() if request.text is not None else TEXT
    sections: dict[str, Any] = {
        "schema": "slm-recipe/1",
        "name": name_of(request),
        "description": "Candidates of slm autotune.",
        "convert": {"model": base.model, **combinations[0], "include": combinations[1:]},
        "evaluate": {"text": str(text), "windows": request.windows},
    }
    if request.device is not None:
        sections["profile"] = {"device": request.device, **_RUN}
    header = "# Written by slm autotune; it is written anew each time.\n"
    return header + yaml.safe_dump(sections, sort_keys=False, allow_unicode=True, width=110)


def _round(
    request: AutotuneRequest,
    base: ConvertRequest,
    chosen: Sequence[Candidate],
    settings: Settings,
    workspace: Workspace,
    open_executor: OpenExecutor,
    listener: Listener,
) -> tuple[list[Measured], list[tuple[str, str]]]:
    """Build and measure what is not done of some candidates."""
    name = name_of(request)
    if workspace.is_running(name):
        raise BatchBusy(
            "is being run by another process",
            subject=f"search {name}",
            next_step=f"Watch it: slm recipe status {name}",
        )
    folder = workspace.batch(name)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "recipe.yaml", recipe_text(request, base, chosen))
    loaded = load_recipe(folder / "recipe.yaml", settings.models_dir)
    summary = run_recipe(
        loaded, workspace, settings, open_executor, choice=Choice(keep_going=True), listener=listener
    )
    found = _measured(loaded, chosen, workspace, settings)
    return found, list(summary.failed)


def _measured(
    loaded: LoadedRecipe, chosen: Sequence[Candidate], workspace: Workspace, settings: Settings
) -> list[Measured]:
    """What the steps' records say of candidates that were built, evaluated and, if asked for, run."""
    plan = make_plan(loaded, workspace, settings)
    built = [step.key for step in plan.steps if step.kind == "convert"]
    results: dict[str, dict[str, Mapping[str, Any]]] = {key: {} for key in built}
    for step in plan.steps:
        record = workspace.record(step.key)
        of = step.key if step.kind == "convert" else next(iter(step.needs), "")
        if record is not None and record.result is not None and record.last.outcome == "done":
            results.get(of, {})[step.kind] = record.result
    wanted = {"convert", "evaluate", *(["profile"] if loaded.recipe.profile is not None else [])}
    found = []
    for candidate, key in zip(chosen, built, strict=True):
        if wanted <= results[key].keys():
            scores = {one["metric"]: float(one["value"]) for one in results[key]["evaluate"]["scores"]}
            found.append(
                Measured(
                    candidate,
                    workspace.artifact(key),
                    int(results[key]["convert"]["size_bytes"]),
                    scores["mean_kl"],
                    scores["perplexity_ratio"],
                    _speed(results[key].get("profile"), settings),
                )
            )
    return found


def _speed(result: Mapping[str, Any] | None, settings: Settings) -> float | None:
    if result is None:
        return None
    with open_store(settings.store_url) as store:
        return store.get_run(str(result["run_id"])).run.decode_tokens_per_second


def _placed(model: str) -> str:
    """A model on this machine by its whole path: the recipe lies elsewhere."""
    prefix = "random:" if model.startswith("random:") else ""
    path = expanded(model.removeprefix(prefix))
    return f"{prefix}{path.absolute()}" if path.exists() else model
