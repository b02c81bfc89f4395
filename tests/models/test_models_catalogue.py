"""The catalogue against transformers, optimum and the survey's own numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from survey_kv_caches import KV_CACHE_MIB
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.errors import CatalogueInvalid, UnknownModel, UsageError
from toolkit.models.catalogue import derive
from toolkit.models.catalogue.catalogue import catalogue, family_text, parse_family, shipped
from toolkit.models.catalogue.entry import Architecture, Entry, Parameters, PublishedCount
from toolkit.models.catalogue.selection import Selection, parameter_count, select

# Nobody's count of these was at hand: who finds one puts it into the entry, and the name goes.
UNCOUNTED = {
    *("BLOOMZ-560M", "BLOOMZ-1B1", "CT-LLM-2B", "DCLM-1B", "Dolly-v2-3B", "Fox-1-1.6B", "Gemma-3-4B"),
    *(
        "Cerebras-GPT-111M",
        "Cerebras-GPT-256M",
        "Cerebras-GPT-590M",
        "Cerebras-GPT-1.3B",
        "Cerebras-GPT-2.7B",
    ),
    *("Galactica-125M", "Galactica-1.3B", "H2O-Danube2-1.8B", "H2O-Danube3-500M", "H2O-Danube3-4B"),
    *("Hare-1.1B", "LaMini-GPT-774M", "LaMini-GPT-1.5B", "MiniCPM-1B", "MiniCPM-2B", "MiniCPM3-4B"),
    *("MiniMA-3B", "MiniMA-2-1B", "Minitron-4B", "MobileLLaMA-1.4B", "MobileLLM-125M", "MobiLlama-0.5B"),
    *("MobiLlama-1B", "OPT-2.7B", "Qwen-1.8B", "Sheared-LLaMA-1.3B", "Sheared-LLaMA-2.7B"),
}
# One of each model type in `make test`; all in the soak.
SAMPLE = (
    "OPT-350M",
    "BLOOM-560M",
    "Pythia-160M",
    "Gemma-2-2B",
    "MiniCPM3-4B",
    "RecurrentGemma-2B",
    "LFM2-350M",
    # Own architectures.
    "OpenELM-270M",
    "MiniCPM-1B",
    "MobileLLM-125M",
    "MobiLlama-1B",
    "Qwen-1.8B",
    "DCLM-1B",
)
BUILDABLE = shipped().buildable()

run = CliRunner()


def built(name: str) -> tuple[Architecture, Parameters]:
    """What transformers makes of an entry's config, on the meta device."""
    fields = shipped()[name].config
    assert fields is not None
    return built_of(fields, name)


def built_of(fields: Mapping[str, Any], name: str) -> tuple[Architecture, Parameters]:
    from toolkit.sources.folder_source import config_from_fields
    from toolkit.sources.parameters import expected_parameters

    config = config_from_fields(fields, Path(name))
    made = expected_parameters(config, subject=name)
    shapes = {one: parameter.shape for one, parameter in made.items()}
    modules = {one: parameter.module for one, parameter in made.items()}
    shape = derive.architecture(config, shapes, modules)
    counted = derive.parameters(config, shapes)
    assert counted is not None
    return shape, counted


def check(name: str) -> None:
    entry = shipped()[name]
    shape, counted = built(name)
    assert counted == entry.parameters
    written = entry.architecture
    # What a config does not say, the entry may add.
    for field, derived in shape.model_dump().items():
        kept = getattr(written, field)
        unsaid = field in ("context", "norm") and (derived is None or str(kept).startswith(str(derived)))
        assert kept == derived or unsaid, field


@pytest.mark.parametrize("name", SAMPLE)
def test_entries_are_what_transformers_builds(name: str) -> None:
    check(name)


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in BUILDABLE if name not in SAMPLE])
def test_every_entry_is_what_transformers_builds(name: str) -> None:
    check(name)


def test_the_kv_caches_are_the_surveys() -> None:
    caches = {name: shipped()[name].architecture.kv_cache_bytes(2048) for name in KV_CACHE_MIB}
    assert {name: size and size / 2**20 for name, size in caches.items()} == KV_CACHE_MIB
    assert {e.name for e in select(shipped().values(), Selection(group="survey-memory"))} == set(KV_CACHE_MIB)


def test_every_entry_is_held_against_somebody_else_s_count() -> None:
    real = [entry for entry in shipped().values() if not entry.made_up]
    assert {entry.name for entry in real if not entry.published_counts} == UNCOUNTED
    # 0.5 % is for rounded ones; what is given to the last digit is met to the last digit.
    exact = [
        (entry, count.parameters)
        for entry in real
        for count in entry.published_counts
        if count.parameters % 100_000
    ]
    assert len(exact) > 40
    for entry, count in exact:
        parameters = entry.parameters
        assert parameters is not None and count in (parameters.unique, parameters.stored), entry.name
    # Of Qwen3's checkpoints the smaller two hold the tied matrix twice.
    counts = {entry.name: count for entry, count in exact}
    assert counts["Llama-3.2-1B"] == 1_235_814_400 and counts["Qwen3-0.6B"] == 751_632_384


# Billions, whole and for one token, as their makers' cards and papers round them.
MIXTURES: dict[str, tuple[dict[str, Any], float, float]] = {
    # arXiv 2409.02060: 1.3B active of 6.9B.
    "OLMoE-1B-7B": (
        {
            "model_type": "olmoe",
            "vocab_size": 50304,
            "hidden_size": 2048,
            "intermediate_size": 1024,
            "num_hidden_layers": 16,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "tie_word_embeddings": False,
        },
        6.9,
        1.3,
    ),
    # Its card: 14.3B in total, 2.7B activated.
    "Qwen1.5-MoE-A2.7B": (
        {
            "model_type": "qwen2_moe",
            "vocab_size": 151936,
            "hidden_size": 2048,
            "intermediate_size": 5632,
            "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "num_experts": 60,
            "num_experts_per_tok": 4,
            "tie_word_embeddings": False,
        },
        14.3,
        2.7,
    ),
    # Its card: 1.3B and 400M; the card's active ones come without the vocabulary.
    "Granite-3.1-1B-A400M": (
        {
            "model_type": "granitemoe",
            "vocab_size": 49155,
            "hidden_size": 1024,
            "intermediate_size": 512,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "num_local_experts": 32,
            "num_experts_per_tok": 8,
            "tie_word_embeddings": True,
        },
        1.3,
        0.4,
    ),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_of_experts_have_as_many_active_parameters_as_published(name: str) -> None:
    fields, whole, active = MIXTURES[name]
    _, counted = built_of(fields, name)
    assert counted.active is not None
    assert round(counted.unique / 1e9, 1) == whole
    assert round(counted.active / 1e9, 1) == active


def test_the_surveys_counting_artefact_is_visible() -> None:
    old, new = (shipped()[name].parameters for name in ("Qwen1.5-0.5B", "Qwen2-0.5B"))
    assert old is not None and new is not None
    assert old.unique < new.unique < old.stored
    assert any(one.field == "parameters" for one in shipped()["Qwen1.5-0.5B"].disagreements)


def test_every_model_of_the_survey_is_there() -> None:
    sizes = {
        group: len(select(shipped().values(), Selection(group=group)))
        for group in ("survey-table-1", "survey-leaderboard", "survey-latency", "survey-memory")
    }
    # The leaderboard has 68 models and, in its version of 2024-10-02, Hare.
    assert sizes == {
        "survey-table-1": 72,
        "survey-leaderboard": 68,
        "survey-latency": 20,
        "survey-memory": 22,
    }


def test_entries_without_a_config_say_why_and_the_others_build() -> None:
    for entry in shipped().values():
        assert (entry.config is None) <= bool(entry.config_note), entry.name
        assert entry.made_up or entry.sources, entry.name


BASE: dict[str, Any] = {
    "name": "one",
    "family": "made",
    "config_note": "none",
    "architecture": {"heads": 8, "kv_heads": 2, "attention": "GQA", "layers": 2},
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"architecture": {"heads": 8, "kv_heads": 8, "attention": "GQA"}}, "are MHA, not GQA"),
        ({"architecture": {"kv_heads": [1, 2, 3], "layers": 2}}, "3 numbers for 2 layers"),
        ({"config_note": None}, "no config"),
        ({"config": {"model_type": "llama"}, "model_type": "qwen2"}, "the config says 'llama'"),
        (
            {
                "parameters": {"unique": 100, "stored": 100},
                "published_counts": [{"parameters": 110, "source": "a paper"}],
            },
            "a paper counts 110",
        ),
        (
            {"parameters": {"unique": 130, "stored": 130}, "nominal_parameters": 100},
            "the name says 100 parameters, the config 130",
        ),
        ({"released": "2024-13"}, "released"),
        ({"name": "a model"}, "no spaces"),
        ({"licens": "MIT"}, "licens"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(changed: dict[str, Any], said: str) -> None:
    def text(entry: dict[str, Any]) -> str:
        return json.dumps({"schema": "slm-models/1", "models": [entry]})

    parse_family(text(BASE), "own.json")
    with pytest.raises(CatalogueInvalid, match=said):
        parse_family(text({**BASE, **changed}), "own.json")


def test_a_name_may_count_without_the_vocabulary() -> None:
    sizes = {"vocabulary": 10, "hidden_size": 4, "tied_embeddings": True}
    entry = {**BASE, "architecture": sizes, "parameters": {"unique": 140, "stored": 180}}
    for nominal in (100, 140, 180):
        assert Entry.model_validate({**entry, "nominal_parameters": nominal}).nominal_parameters == nominal
    apart = {"field": "nominal_parameters", "published": "60", "config": "140", "note": "of one expert"}
    with pytest.raises(ValueError, match="the name says 60"):
        Entry.model_validate({**entry, "nominal_parameters": 60})
    assert Entry.model_validate({**entry, "nominal_parameters": 60, "disagreements": [apart]})


def test_a_difference_that_is_explained_is_kept() -> None:
    count = PublishedCount(parameters=110, source="a paper")
    explained = {
        **BASE,
        "parameters": {"unique": 100, "stored": 100},
        "published_counts": [count.model_dump()],
        "disagreements": [{"field": "parameters", "published": "110", "config": "100", "note": "rounded"}],
    }
    assert Entry.model_validate(explained).published_counts == (count,)


def test_files_survive_writing_and_reading() -> None:
    entries = tuple(entry for entry in shipped().values() if entry.family == "OpenELM")
    assert parse_family(family_text(entries), "OpenELM").models == entries


def test_own_entries_are_read_beside_the_shipped_ones(tmp_path: Path) -> None:
    own = Entry.model_validate(BASE)
    (tmp_path / "one.json").write_text(family_text((own,)))
    known = catalogue(tmp_path)
    assert known["ONE"] == own and len(known) == len(shipped()) + 1
    (tmp_path / "two.json").write_text(family_text((own.model_copy(update={"name": "Phi-2"}),)))
    with pytest.raises(CatalogueInvalid, match="of this name already"):
        catalogue(tmp_path)
    (tmp_path / "two.json").write_text("{")
    with pytest.raises(CatalogueInvalid, match="two.json"):
        catalogue(tmp_path)


def test_an_unknown_name_gets_a_near_one() -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'SmolLM2-360M'"):
        shipped()["smollm2-361m"]


def test_what_is_not_known_passes_no_filter() -> None:
    def names(**wanted: Any) -> set[str]:
        return {entry.name for entry in select(shipped().values(), replace(Selection(), **wanted))}

    unsized = {entry.name for entry in shipped().values() if entry.parameters is None}
    assert unsized and not unsized & (names(maximum_parameters=10**12) | names(minimum_parameters=0))
    assert "MiniMA-2-1B" in names() and "MiniMA-2-1B" not in names(attention="MHA")
    assert names(attention="MLA") == {"MiniCPM3-4B"}
    assert names(since="2025-01") >= {"Qwen3-0.6B", "LFM2-350M"}
    assert not any(name.endswith("-tiny") for name in names())
    with pytest.raises(UsageError, match="survey-latency"):
        names(group="surveys")


@pytest.mark.parametrize(("text", "count"), [("700M", 700_000_000), ("1.5b", 1_500_000_000), ("12", 12)])
def test_counts_are_read(text: str, count: int) -> None:
    assert parameter_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "-1M", "1,5B", "1e9"])
def test_no_counts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="number of parameters"):
        parameter_count(text)


@pytest.fixture
def slm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path))

    def invoke(*words: str) -> str:
        result = run.invoke(app, ["models", *words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return invoke


def test_lines_fit_80_columns(slm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = slm("list", "--all") + slm(
        "compare", "Qwen1.5-0.5B", "Qwen2-0.5B", "OpenELM-3B", "MiniCPM3-4B", "Phi-2"
    )
    shown += "".join(slm("show", entry.name) for entry in shipped().values())
    assert max(map(len, shown.splitlines())) <= 80
    assert all(entry.name in shown for entry in shipped().values())


def test_a_comparison_marks_what_differs(slm: Any) -> None:
    lines = slm("compare", "Phi-1", "Phi-1.5").splitlines()
    starred = {line[2:18].strip() for line in lines if line.startswith("*")}
    # The same architecture twice: the survey's noise floor.
    assert starred == {"tokens", "commonsense", "problem solving", "mathematics", "builds"}


def test_csv_and_json_hold_the_same_facts(slm: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(slm("list", "--csv"))))
    objects = json.loads(slm("list", "--json"))
    assert [row["name"] for row in rows] == [one["name"] for one in objects]
    by_name = {one["name"]: one for one in objects}
    assert by_name["Hare-1.1B"]["parameters.unique"] is None
    assert by_name["SmolLM-135M"]["parameters.unique"] == 134_515_008
    assert json.loads(slm("show", "smollm-135m", "--config"))["model_type"] == "llama"


def test_bad_input_is_told(slm: Any) -> None:
    for words, error in (
        (["show", "smolm-135m"], UnknownModel),
        (["show", "MobiLlama-0.5B", "--config"], UnknownModel),
        (["compare", "Phi-1", "phi-1"], UsageError),
        (["list", "--attention", "XHA"], UsageError),
        (["list", "--since", "yesterday"], UsageError),
        (["list", "--sort", "size"], UsageError),
    ):
        with pytest.raises(error):
            run.invoke(app, ["models", *words], catch_exceptions=False)
