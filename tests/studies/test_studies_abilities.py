"""Studies of what models know: on made scores whose answers are known, and once as a user runs them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from made_points import DEVICE, point
from own_tasks import write_tasks
from recipe_process import SlmRecipe
from stored_evaluations import EVALUATION, SCORE

from toolkit.analysis.findings import Sample
from toolkit.errors import UsageError
from toolkit.models.catalogue.catalogue import shipped
from toolkit.recipes.plan import make_plan
from toolkit.recipes.workspace import Workspace
from toolkit.report.label_places import PLACES
from toolkit.report.study_charts import specification
from toolkit.report.study_content import Chart
from toolkit.settings import Settings
from toolkit.store import Store
from toolkit.store.rows import Score
from toolkit.studies.data import StudyData
from toolkit.studies.kinds import capability, in_context, long_context
from toolkit.studies.request import StudyRequest
from toolkit.studies.running import loaded_anywhere, prepare
from toolkit.studies.scored import OVERALL, Scored, told_apart
from toolkit.studies.study import STUDIES


def score(task: str, value: float, shots: int = 5) -> Score:
    return replace(SCORE, task=task, shots=shots, value=value, stderr=None)


def made(model: str, parameters: float, size_mb: float, quantization: str, *scores: Score) -> Scored:
    evaluation = replace(EVALUATION, size_bytes=int(size_mb * 1e6), quantization=quantization)
    return Scored(model, None, evaluation, scores, int(parameters), ("e",))


def test_the_survey_mean_needs_all_of_its_tasks_and_others_have_a_plain_one() -> None:
    known = {"commonsense": 0.4, "problem solving": 0.2}
    tasks = {
        **dict.fromkeys(("hellaswag", "truthfulqa_mc2", "winogrande", "commonsense_qa", "piqa"), 0.4),
        **dict.fromkeys(("openbookqa", "boolq"), 0.4),
        **dict.fromkeys(("arc_easy", "arc_challenge", "mmlu"), 0.2),
    }
    whole = made("m", 1e8, 90, "8da4w", *(score(task, value) for task, value in tasks.items()))
    assert whole.means() == pytest.approx({**known, OVERALL: 0.3})
    part = made("m", 1e8, 90, "8da4w", score("piqa", 0.6), score("own", 0.2))
    assert part.means() == pytest.approx({OVERALL: 0.4})


def test_the_front_is_drawn_through_what_nothing_beats() -> None:
    small, beaten, large = (
        made("a", 1e8, 80, "8da4w", score("piqa", 0.5)),
        made("b", 1e8, 90, "8da4w", score("piqa", 0.4)),
        made("c", 1e8, 100, "8da8w", score("piqa", 0.6)),
    )
    rows = capability.by_size([small, beaten, large])
    assert [(row["series"], row["front"]) for row in rows] == [("a", "yes"), ("b", "no"), ("c", "yes")]
    speed = {("a" * 64, "here"): 50.0}
    assert [row["front"] for row in capability.by_speed([small, beaten, large], speed)] == ["no", "no", "yes"]
    # All three have one artifact in this table, and of equal costs the most accurate wins.
    joules = capability.by_energy([small, beaten, large], {("a" * 64, "here"): 0.2})
    assert [(row["x"], row["front"]) for row in joules] == [(0.2, "no"), (0.2, "no"), (0.2, "yes")]
    assert capability.by_energy([small], {("a" * 64, "elsewhere"): 0.2}) == []


def test_artifacts_of_one_model_and_quantization_have_labels_of_their_own() -> None:
    def at(sha256: str, backend: str = "onnxruntime", name: str = "/models/m.gguf") -> Scored:
        one = made(name, 1e8, 80, "8da4w", score("piqa", 0.5))
        return replace(one, evaluation=replace(one.evaluation, artifact_sha256=sha256 * 64, backend=backend))

    other = at("c", name="other")
    found = told_apart([at("a"), at("b"), other])
    assert [one.label for one in found] == [
        "m.gguf 8da4w artifact aaaaaa",
        "m.gguf 8da4w artifact bbbbbb",
        "other 8da4w",
    ]
    found = told_apart([at("a"), at("b", "executorch")])
    assert [one.label for one in found] == ["m.gguf 8da4w ort", "m.gguf 8da4w et"]


def test_models_of_the_catalogue_stand_over_the_month_they_came_out_in() -> None:
    entry = shipped()["SmolLM2-135M"]
    known = replace(made("a", 1e8, 80, "8da4w", score("piqa", 0.5)), entry=entry)
    unknown = made("b", 1e8, 80, "8da4w", score("piqa", 0.5))
    [row] = capability.by_date([known, unknown])
    assert row == {"label": "a 8da4w", "series": entry.family, "x": entry.released, "y": 0.5}
    assert specification(capability._dates("t", "y", [row]))["height"] > 100


@pytest.mark.parametrize(("identity", "serial"), [(None, "R5CT"), ("R5CT", "192.168.1.7:5555")])
def test_speeds_are_those_of_the_place_that_answered_however_it_was_named(
    identity: str | None, serial: str
) -> None:
    phone = replace(DEVICE, identity=identity, serial=serial)
    profiled = point("a", device=phone, decode_ms=20.0)
    data = StudyData([profiled], [], [], cast(Store, None), {})
    answered = replace(
        EVALUATION, artifact_sha256=profiled.artifact.sha256, place="my phone", place_identity="R5CT"
    )
    asked = Scored("a", None, answered, (score("piqa", 0.5),), 10, ("e",))
    assert [row["x"] for row in capability.by_speed([asked], capability.speeds(data))] == [50.0]


def test_what_four_bits_keep_is_held_against_the_same_models_best() -> None:
    found = [
        made("a", 1e8, 80, "8da4w g32", score("piqa", 0.45)),
        made("a", 1e8, 140, "8da8w g32", score("piqa", 0.50)),
        made("b", 2e8, 90, "8da4w g32", score("piqa", 0.60)),
    ]
    [kept] = capability.kept_samples(found)
    assert kept.values["kept"] == pytest.approx(0.9) and kept.name == "a"
    assert {one.name: one.values["accuracy"] for one in capability.samples_of(found)} == {"a": 0.5, "b": 0.6}


def test_what_the_presets_of_the_study_keep_is_judged() -> None:
    four, eight = STUDIES.get("capability").quant
    found = [
        made("a", 1e8, 80, four, score("piqa", 0.45)),
        made("a", 1e8, 140, eight, score("piqa", 0.50)),
    ]
    [kept] = capability.kept_samples(found)
    assert kept.values["kept"] == pytest.approx(0.9)


def test_gains_are_those_of_five_examples_over_none() -> None:
    found = [
        made(
            f"m{size}",
            size,
            90,
            "8da4w",
            *(score("arc_challenge", 0.2, shots) for shots in (0, 1)),
            score("arc_challenge", 0.2 + 0.1 * gain, 5),
            *(score("piqa", 0.5, shots) for shots in (0, 1, 5)),
        )
        for size, gain in ((1e8, 1), (2e8, 2), (4e8, 3), (8e8, 4), (16e8, 5), (32e8, 6))
    ]
    first = in_context.gains(found[0])
    assert first == pytest.approx({"arc_challenge": 0.1, "piqa": 0.0, "gain": 0.05, "others": 0.0})
    samples = [Sample(one.model, float(one.parameters), in_context.gains(one)) for one in found]
    raised, larger, most, flat = (statement.test(samples, "here") for statement in in_context.STATEMENTS)
    assert raised.verdict == "supported" and raised.value == pytest.approx(17.5)
    assert larger.value == pytest.approx(5.0), "0.1 / 2 tasks more for twice the parameters"
    assert most.verdict == "supported"
    assert flat.verdict == "not enough data", "HellaSwag was not asked"


def test_the_mean_moves_with_the_examples_alone() -> None:
    """TruthfulQA has a score for its own number of examples only, and another study asked PIQA for five."""
    one = made(
        "m",
        1e8,
        90,
        "8da4w",
        *(score("arc_challenge", value, shots) for shots, value in ((0, 0.2), (1, 0.3), (5, 0.4))),
        *(score("winogrande", value, shots) for shots, value in ((0, 0.6), (1, 0.5), (5, 0.7))),
        score("truthfulqa_mc2", 0.9, 0),
        score("piqa", 0.1, 5),
    )
    assert [in_context.mean(one, shots) for shots in (0, 1, 5)] == pytest.approx([0.4, 0.4, 0.55])
    assert in_context.gains(one)["gain"] == pytest.approx(0.15)
    assert in_context.mean(made("m", 1e8, 90, "8da4w", score("truthfulqa_mc2", 0.9, 0)), 0) is None


def test_facts_lost_in_the_middle() -> None:
    grid = [(length, depth, 0.2 if 0.2 <= depth <= 0.7 else 0.8) for length in (256, 512, 1024, 2048)
            for depth in (0.0, 0.5, 1.0)]  # fmt: skip
    samples = [long_context.sample_of(f"m{number}", 1e8, grid) for number in range(6)]
    assert samples[0].values == pytest.approx({"mean": 0.6, "lost": 0.6, "rise": 0.0})
    lost, falls = (statement.test(samples, "here") for statement in long_context._BY_LENGTH)
    assert lost.verdict == "supported" and falls.value == pytest.approx(0.0)
    alone = long_context._BY_LENGTH[0].test(samples[:1] * 6, "here")
    assert alone.verdict == "not enough data", "lengths of one model are no six models"
    published = long_context._LARGER.test([], "here", long_context._published_samples())
    sizes, found = zip(
        *((one.x, one.values["mean"]) for one in long_context._published_samples()), strict=True
    )
    slope = 100 * np.polyfit(np.log2(sizes), found, 1)[0]
    assert published.published is not None and f"{slope:+.1f} percentage" in published.published


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("front", {"label": "m", "series": "m", "x": 1.0, "y": 0.5, "front": "yes"}),
        ("dates", {"label": "m", "series": "f", "x": "2024-03", "y": 0.5}),
        ("fit", {"label": "m", "x": 1e8, "y": 2.0}),
        ("heat", {"x": 128.0, "y": 50.0, "value": 0.5}),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_chart_can_be_drawn(kind: str, row: dict[str, str | float], count: int) -> None:
    rows = [{**row, "x": row["x"] if isinstance(row["x"], str) else row["x"] * (n + 1)} for n in range(count)]
    chart = Chart("t", kind, {"x": "x", "y": "y", "value": "v", "log": True}, rows, {})
    assert specification(chart)["height"] > 100


def drawn_rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    [rows] = spec["datasets"].values()
    return list(rows)


def test_points_are_named_and_logarithmic_axes_end_in_ticks() -> None:
    """Whatever is drawn: the names are those of the rows, of dates those that nothing before them beats."""
    sizes = [
        {"label": f"m{n}", "series": "s", "x": 70.0 * (n + 1), "y": 0.3 + n / 9, "front": "yes"}
        for n in range(3)
    ]
    front = specification(Chart("t", "front", {"x": "MB", "y": "acc", "log": True}, sizes, {}))
    fit = specification(
        Chart("t", "fit", {"x": "M", "y": "gain"}, [{**row, "x": row["x"] * 1e6} for row in sizes], {})
    )
    for spec, ends in ((front, (50.0, 500.0)), (fit, (5e7, 5e8))):
        named, *_ = [layer for layer in spec["layer"] if layer.get("name") == "names"]
        x = named["encoding"]["x"]
        assert (x["axis"]["values"][0], x["axis"]["values"][-1]) == ends == tuple(x["scale"]["domain"])
        assert {row["place"] for row in drawn_rows(spec)} <= set(PLACES)
    months = [
        {"label": f"m{n}", "series": "s", "x": f"2024-0{n + 1}", "y": y}
        for n, y in enumerate((0.3, 0.2, 0.4))
    ]
    dates = specification(Chart("t", "dates", {"x": "released", "y": "acc"}, months, {}))
    assert [row["label"] for row in drawn_rows(dates)] == ["m0", "", "m2"]


def test_models_of_the_catalogue_come_with_their_own_weights(tmp_path: Path) -> None:
    settings = Settings.from_environment({"SLM_DATA_DIR": str(tmp_path)})
    asked = StudyRequest.of(models=["SmolLM2-135M"], tasks="piqa", items=5)
    text = prepare(STUDIES.get("capability"), asked, settings).text
    assert f"- {shipped()['SmolLM2-135M'].hub_id}\n" in text and "random:" not in text
    assert "tasks: piqa" in text and "limit: 5" in text
    with pytest.raises(UsageError, match="--lengths means nothing here"):
        prepare(STUDIES.get("capability"), StudyRequest.of(lengths="128"), settings)


def test_joules_are_measured_beside_speed_where_they_are_asked_for(tmp_path: Path) -> None:
    settings = Settings.from_environment({"SLM_DATA_DIR": str(tmp_path)})

    def profile_of(name: str, energy: bool) -> dict[str, Any]:
        asked = StudyRequest.of(models=["SmolLM2-135M"], energy=energy, device="virtual")
        recipe = yaml.safe_load(prepare(STUDIES.get(name), asked, settings).text)
        return dict(recipe["profile"])

    with_joules = profile_of("capability", energy=True)
    assert with_joules["energy"] is True
    alone = profile_of("energy", energy=False)
    assert {alone[name] for name in ("prompt_tokens", "generate_tokens")} == {
        with_joules[name] for name in ("prompt_tokens", "generate_tokens")
    }
    assert "energy" not in profile_of("capability", energy=False)
    with pytest.raises(UsageError, match="--energy means nothing here"):
        profile_of("in-context", energy=True)


@pytest.mark.parametrize("name", ["capability", "in-context", "long-context"])
def test_every_device_answers(name: str, tmp_path: Path) -> None:
    settings = Settings.from_environment({"SLM_DATA_DIR": str(tmp_path)})
    asked = StudyRequest.of(models=["SmolLM2-135M"], quant="8da4w", device="local,virtual:2,local")
    loaded = loaded_anywhere(prepare(STUDIES.get(name), asked, settings), settings)
    plan = make_plan(loaded, Workspace(tmp_path / "recipes"), settings)
    asking = [step for step in plan.steps if step.kind == "evaluate"]
    per_device = 3 if name == "in-context" else 1
    found = Counter((step.resources.device, step.title.rpartition(" on ")[2]) for step in asking)
    assert found == {(one, one): per_device for one in ("local", "virtual-1", "virtual-2")}


@pytest.fixture
def slm_study(tmp_path: Path) -> Iterator[SlmRecipe]:
    started = SlmRecipe(tmp_path, verb="study")
    yield started
    started.kill_all()


def test_needles_and_scores_become_reports(slm_study: SlmRecipe) -> None:
    # Facts and question alone take 300 bytes, and a random model's tokens are bytes.
    config = dict(shipped()["llama-tiny"].config or {}) | {"max_position_embeddings": 600}
    file = slm_study.write(json.dumps(config), "config.json")
    asked = ("--models", f"random:{file}", "--quant", "8da8w", "--protocol", "smoke")
    needles = ("long-context", *asked, "--lengths", "400,500", "--depths", "0,50", "--trials", "1")
    done = slm_study.json("run", *needles)
    assert done["exit_code"] == 0 and done["failed"] == []
    out = slm_study.folder / "out.json"
    assert slm_study.run("report", "long-context", "-o", out).returncode == 0
    [own, published] = json.loads(out.read_text())["figures"][0]["panels"]
    assert [chart["title"] for chart in own["charts"]] == ["single", "several", "reasoning", "mean"]
    assert {(row["x"], row["y"]) for row in own["charts"][0]["rows"]} == {
        (length, depth) for length in (400.0, 500.0) for depth in (0.0, 50.0)
    }
    assert published["published"] and len(published["charts"][0]["rows"]) == 4
    again = slm_study.json("run", *needles)
    assert (again["done"], again["already"]) == (0, 2)

    tasks = write_tasks(slm_study.folder / "tasks", items=4)
    scored = ("--tasks", "own_letters", "--include-path", tasks, "--items", "3")
    done = slm_study.json("run", "capability", *asked, *scored)
    assert done["exit_code"] == 0 and done["failed"] == []
    assert slm_study.run("report", "capability", "-o", out).returncode == 0
    [own, _] = json.loads(out.read_text())["figures"][0]["panels"]
    assert [chart["title"] for chart in own["charts"]] == ["Accuracy against size", "Accuracy against speed"]
    assert own["charts"][0]["rows"][0]["front"] == "yes"
