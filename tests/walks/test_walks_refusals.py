"""What commands refuse about devices, recipes, results, studies and texts: their advice is followed.

Refusals of conversions are in tests/export/test_export_refusals.py and test_export_refusals_of_models.py.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from measured_runs import add_measured
from place import walking_in
from private_adb import AdbServer

from toolkit.cli.main import main
from toolkit.store import open_store

RECIPE = "schema: slm-recipe/1\nname: walked\nconvert: {model: 'random:llama-tiny', quant: 8w}\n"
BENCH = {
    "build_commit": "cccc004", "build_number": 5300, "cpu_info": "Snapdragon", "gpu_info": "",
    "backends": "CPU", "model_filename": "tiny.Q4_0.gguf", "model_type": "llama 1B Q4_0",
    "model_size": 636000000, "model_n_params": 1100048384, "n_batch": 2048, "n_threads": 4,
    "n_prompt": 512, "n_gen": 0, "test_time": "2025-03-01T10:00:00Z", "avg_ns": 10**9, "stddev_ns": 1000,
    "avg_ts": 512.0, "stddev_ts": 0.1, "samples_ns": [10**9], "samples_ts": [512.0],
}  # fmt: skip

PROFILE = "profile artifact --device local --prompt-tokens 8 --generate-tokens 4 -r 1 --max-cpu-busy 1"

Command = list[str]


def run(command: Command) -> tuple[int, str]:
    """A command in this process: its exit code, and all that it printed."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["slm", *command])
        with pytest.raises(SystemExit) as ended:
            main()
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
    return int(ended.value.code or 0), out.read() + err.read()


@pytest.fixture(scope="module")
def place(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the commands name, a store with six runs, and no phone."""
    folder = tmp_path_factory.mktemp("walk")
    with walking_in(folder):
        with open_store(f"sqlite:///{folder / 'results.db'}") as store:
            for run_id, changes in {
                "aaaa0000": {}, "aaab0000": {}, "bbbb0000": {"threads": 4},
                "cccc0000": {"status": "throttled"},
                # Deleted by one of the tests, whichever comes first.
                "eeee0000": {"status": "timeout"},
            }.items():  # fmt: skip
                add_measured(store, run_id, **changes)
            add_measured(store, "dddd0000", engine_version="1.32.0", created_unix_ns=2 * 10**18)
        files = {
            "recipe.yaml": RECIPE,
            "wrong.yaml": RECIPE.replace("model:", "modell:"),
            "cut.json": json.dumps([BENCH])[:-40],
            "nothing.json": json.dumps([BENCH | {"n_prompt": 0}]),
            "bench.json": json.dumps([BENCH]),
            "text.txt": "w5 w17 w211 w3 w42 " * 50,
            "object.json": "{}",
            "chat.json": '[{"role": "user", "content": "w5"}]',
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        yield folder


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal.

    Attributes:
        asked: what is refused.
        subject: what the refusal is about, among its words.
        follow: the commands that its next step advises, given its text.
        before: what is done first.
    """

    asked: str
    subject: str
    follow: Callable[[str], list[Command]]
    before: tuple[str, ...] = ()


def words(line: str) -> Command:
    """A command line whose words are apart by blanks, with _ for a blank within one."""
    return [word.replace("_", " ") for word in line.split()]


def does(*lines: str, when: str) -> Callable[[str], list[Command]]:
    """These commands, which the advice must have told of."""

    def follow(advice: str) -> list[Command]:
        assert re.search(when, advice), advice
        return [words(line) for line in lines]

    return follow


def fills(pattern: str, line: str) -> Callable[[str], list[Command]]:
    """A command with what the advice gives, at {}."""

    def follow(advice: str) -> list[Command]:
        found = re.search(pattern, advice)
        assert found, advice
        return [[word.replace("{}", found[1]) for word in words(line)]]

    return follow


def quoted(advice: str) -> list[Command]:
    """The command that the advice spells out."""
    found = re.search(r"\bslm ((?:[a-z-]+)(?: [a-z0-9./-]+)*)", advice)
    assert found, advice
    return [found[1].rstrip(".").split()]


RESULTS = {
    "no such run": Refusal("results show nope", "'nope'", quoted),
    "several runs": Refusal(
        "results show aaa", "'aaa'", fills(r"^.*?matches several runs: (\w+)", "results show {}")
    ),
    "an unknown column": Refusal(
        "results list --where decod>5", "decod>5", fills(r"Did you mean '(\w+)'", "results list --where {}>5")
    ),
    "a filter without a value": Refusal(
        "results list --where decode>", "decode>", fills(r'For example: "(.*)"', "results list --where {}")
    ),
    "an unknown status": Refusal(
        "results list --status slow", "'slow'", fills(r"Available: (\w+)", "results list --status {}")
    ),
    "an unknown axis": Refusal(
        "results compare --axis speed", "'speed'", fills(r"Available: (\w+)", "results compare --axis {}")
    ),
    "an unknown figure": Refusal(
        "results compare --figure speed", "'speed'", fills(r"Available: (\w+)", "results compare --figure {}")
    ),
    "a run that is not ok": Refusal(
        "results compare aaaa0000 cccc0000",
        "run cccc0000",
        does(
            "results show cccc0000",
            "results compare aaaa0000",
            when="Leave it out.*slm results show cccc0000",
        ),
    ),
    "runs that differ in more": Refusal(
        "results compare aaaa0000 bbbb0000 --axis backend",
        "aaaa0000 and bbbb0000",
        fills(r"(--axis threads)", "results compare aaaa0000 bbbb0000 --axis threads"),
    ),
    "a deletion of nothing": Refusal(
        "results delete", "delete", does("results delete --where decode>9000 --yes", when="--where CONDITION")
    ),
    "a deletion that nobody confirmed": Refusal(
        "results delete --where status_=_'timeout'",
        "1 run",
        does("results delete --where status_=_'timeout' --yes", when="--yes"),
    ),
    "a tag of odd letters": Refusal(
        "results tag night!y aaaa0000", "'night!y'", does("results tag night.y aaaa0000", when=r"letters.*\.")
    ),
    "a tag for no runs": Refusal(
        "results tag nightly", "nightly", does("results tag nightly aaaa0000", when="Give ids")
    ),
    "a tag taken from no runs": Refusal(
        "results untag nightly", "nightly", does("results untag nightly --all", when="--all")
    ),
    "ids and a filter": Refusal(
        "results untag nightly aaaa0000 --where decode>5",
        "untag",
        does("results untag nightly --where decode>5", when="Leave out the ids"),
        before=("results tag nightly aaaa0000",),
    ),
    "a baseline without runs": Refusal(
        "results regress --baseline empty",
        "'empty'",
        does(
            "results tag empty aaaa0000", "results regress --baseline empty", when="slm results tag TAG RUN"
        ),
    ),
    "a limit that is no share": Refusal(
        "results regress --baseline v1 --fail-over five",
        "'five'",
        does("results regress --baseline v1 --fail-over 5%", when="like 5%"),
        before=("results tag v1 aaaa0000",),
    ),
    "an import that is not there": Refusal(
        "results import none.json", "none.json", does("results import bench.json", when="Check the path")
    ),
    "an import that is cut": Refusal(
        "results import cut.json", "cut.json", does("results import bench.json", when="llama-bench -o json")
    ),
    "an import of no tests": Refusal(
        "results import nothing.json", "nothing.json", does("results import bench.json", when="-p, -n or -pg")
    ),
    "an import that is something else": Refusal(
        "results import object.json", "object.json", does("results import bench.json", when="llama-bench")
    ),
    "an import that was never made": Refusal("results undo-import zzzz", "'zzzz'", quoted),
    "Parquet as text": Refusal(
        "results export --format parquet",
        "parquet",
        does("results export --format parquet --output runs.parquet", when="--output"),
    ),
    "an export into nowhere": Refusal(
        "results export -o none/runs.jsonl",
        "none/runs.jsonl",
        does("results export -o runs.jsonl", when="-o"),
    ),
    "SQL that writes": Refusal(
        "results sql delete_from_runs",
        "refused",
        does("results sql select_count(*)_from_runs", when="reading"),
    ),
    "a report into nowhere": Refusal(
        "report -o none/a.html", "none/a.html", does("report -o a.html", when="another -o")
    ),
}

DEVICES = {
    "a device without a name": Refusal("devices name local", "give a name", quoted),
    "a name that is none": Refusal(
        "devices name local x", "'x'", fills(r"like (\w+);", "devices name local {}")
    ),
    "a name that nobody has": Refusal(
        "devices name pixel99 --remove",
        "'pixel99'",
        fills(r"Names given: (\w+)", "devices name {} --remove"),
        before=("devices name local host1",),
    ),
    "a device that is not attached": Refusal("push artifact --device nope", "device nope", quoted),
    "a device to release": Refusal("devices release --device nope", "device nope", quoted),
    "a device to measure": Refusal("devices measure nope", "device nope", quoted),
    "a device to pull from": Refusal("pull --device nope", "device nope", quoted),
    "a virtual phone of an odd ABI": Refusal(
        "devices emulate --abi mips",
        "ABI mips",
        does("devices emulate --abi host", "devices stop", when="Available: host"),
    ),
    "an artifact that is not there": Refusal(
        "profile nope --device local", "nope", does("artifacts list", when="slm artifacts list")
    ),
    "more CPUs than there are": Refusal(
        f"{PROFILE} --threads 4096",
        "--threads 4096",
        fills(
            r"--threads (\d+) or less",
            f"{PROFILE} --threads {{}}",
        ),
    ),
    "an artifact to show": Refusal(
        "artifacts show nope", "nope", does("artifacts list", when="slm artifacts list")
    ),
    "no prompt": Refusal(
        "generate artifact --device local",
        "model",
        does("generate artifact --device local --prompt w5 --max-tokens 2", when="--prompt.*--messages"),
    ),
    "a seed beyond 64 bits": Refusal(
        "generate artifact --device local --prompt w5 --seed 9223372036854775808",
        "seed",
        does("generate artifact --device local --prompt w5 --max-tokens 2 --seed 3", when="another value"),
    ),
    "a conversation that is none": Refusal(
        "generate artifact --device local --messages object.json",
        "object.json",
        does(
            "generate artifact --device local --messages chat.json --max-tokens 2", when=r'\[\{"role": "user"'
        ),
    ),  # fmt: skip
}

RECIPES = {
    "a recipe that is not there": Refusal("recipe plan none.yaml", "none.yaml", quoted),
    "a recipe with a wrong word": Refusal(
        "recipe plan wrong.yaml", "wrong.yaml:3", does("recipe plan recipe.yaml", when="Did you mean 'model'")
    ),
    "a recipe that was never run": Refusal(
        "recipe status recipe.yaml",
        "walked",
        does("recipe plan recipe.yaml", when="slm recipe run|Nothing was run"),
    ),
    "an executor that nobody has": Refusal(
        "recipe run recipe.yaml --executor slurm",
        "slurm",
        does("recipe plan recipe.yaml", when="Use local"),
    ),
    "a starter in the way": Refusal(
        "init mine.yaml",
        "mine.yaml",
        does("init mine.yaml --force", when="--force"),
        before=("init mine.yaml",),
    ),
    "a device for a starter": Refusal(
        "init other.yaml --device nope",
        "'nope'",
        does("init other.yaml --device virtual", when="Write local, virtual"),
    ),
}

STUDIES = {
    "a study that nobody knows": Refusal(
        "study show nope", "'nope'", fills(r"Available: ([\w-]+)", "study show {}")
    ),
    "a model that nobody knows": Refusal("study run latency-overview --models nope", "'nope'", quoted),
    "a model that is not in the catalogue": Refusal("models show nope", "'nope'", quoted),
    "a month that is none": Refusal(
        "models list --since yesterday", "'yesterday'", fills(r"or (\d{4}-\d\d)", "models list --since {}")
    ),
}

EVALUATIONS = {
    "two things to evaluate at once": Refusal(
        "evaluate artifact --text text.txt --needle",
        "--text, --tasks and --needle",
        does("evaluate artifact --text text.txt --no-compare", when="--text FILE"),
    ),  # fmt: skip
    "an option of something else": Refusal(
        "evaluate artifact --text text.txt --limit 3",
        "--limit",
        does("evaluate artifact --text text.txt --no-compare", when="leave it out"),
    ),  # fmt: skip
    "a model that cannot be compared with": Refusal(
        "evaluate artifact --text text.txt",
        "random:tiny",
        does("evaluate artifact --text text.txt --no-compare", when="--no-compare"),
    ),  # fmt: skip
}

REFUSALS = RESULTS | DEVICES | RECIPES | STUDIES | EVALUATIONS


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_advised_is_accepted(name: str, place: Path) -> None:
    refusal = REFUSALS[name]
    for command in refusal.before:
        assert run(words(command))[0] == 0
    code, said = run(words(refusal.asked))
    assert code not in (0, 1) and "Traceback" not in said, said
    assert refusal.subject in said, said
    assert "\n  next: " in said, said
    for advised in refusal.follow(said):
        code, answer = run(advised)
        assert code == 0, (advised, answer)
