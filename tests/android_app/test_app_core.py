"""The app's core: its figures are the host's to the last digit, and what comes from outside is checked."""

from __future__ import annotations

import datetime
import json
import random
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from app_results import result_text
from chat_templates import SHAPES
from contract import Core, arguments_bytes

from toolkit.analysis import metrics
from toolkit.app.shipped import engines_in_app, in_app
from toolkit.app.source import app_source
from toolkit.chat_format import ChatFormat, UnsplitChat
from toolkit.chat_template.splitting import split_template
from toolkit.profiling.records import parse_result


def random_result(generator: random.Random) -> str:
    """Repetitions between nearly equal ones, whose spread is all in the last digits, and far apart ones."""
    count, steps = generator.randint(2, 7), generator.randint(0, 9)
    typical = generator.randint(10**5, 10**10)
    spread = generator.choice([0, 1, 3, 1000, typical // 2])

    def duration() -> int:
        return typical + generator.randint(0, spread)

    prefill = [duration() for _ in range(count)]
    decode = [[duration() for _ in range(steps)] for _ in range(count)]
    return result_text(prefill, decode, prompt=generator.randint(1, 4096))


def host_figures(text: str) -> dict[str, Any]:
    result = parse_result(text, run_id="r1", subject="test")
    prefill = [
        metrics.prefill_tokens_per_second(result.start.prompt_tokens, one.prefill_ns)
        for one in result.measured
    ]
    rates = (metrics.decode_tokens_per_second(one.decode_ns) for one in result.measured)
    decode = [rate for rate in rates if rate is not None]
    ttft = metrics.median([metrics.ttft_ns(one.prefill_ns) for one in result.measured])
    assert ttft is not None
    return {
        "prefill_tokens_per_second": metrics.median(prefill),
        "prefill_stdev": metrics.sample_stdev(prefill),
        "decode_tokens_per_second": metrics.median(decode),
        "decode_stdev": metrics.sample_stdev(decode),
        "ttft_ns": round(ttft),
        "load_ns": 5,
        "peak_bytes": 4096,
    }


def test_figures_equal_the_hosts_to_the_last_digit(core: Core, tmp_path: Path) -> None:
    generator = random.Random(14)
    texts = [random_result(generator) for _ in range(300)]
    files = [tmp_path / str(number) for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    done = core("figures", *files)
    assert done.returncode == 0, done.stderr.decode()
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert got == [host_figures(text) for text in texts]


def test_there_are_no_figures_of_what_is_not_whole(core: Core, tmp_path: Path) -> None:
    whole = result_text([10, 20], [[5, 6], [7, 8]], prompt=16)
    lines = whole.splitlines(keepends=True)
    broken = [
        "",
        whole[:-30],
        "".join(lines[:-1]),
        "".join([lines[0], *lines[2:]]),
        whole.replace('"run_id": "r1"', '"run_id": "r2"'),
        whole.replace('"prefill_ns": 20', '"prefill_ns": 0'),
        whole.replace("[7, 8]", "[7, 0]"),
        whole.replace("[7, 8]", "[7, NaN]"),
        whole.replace("slm-result/1", "slm-result/2"),
        "[" * 100_000,
    ]
    files = [tmp_path / str(number) for number in range(len(broken))]
    for file, text in zip(files, broken, strict=True):
        file.write_text(text)
    done = core("figures", *files)
    assert done.returncode == 0, done.stderr.decode()
    assert all(list(json.loads(line)) == ["refused"] for line in done.stdout.splitlines())


def test_a_run_that_fills_a_time_may_repeat_more_often_than_the_least(core: Core, tmp_path: Path) -> None:
    counted = result_text([10, 20, 30, 40], [[5], [6], [7], [8]], prompt=16)
    more = counted.replace('"repetitions": 3', '"repetitions": 2')
    timed = more.replace('"repetitions": 2', '"repetitions": 2, "repeat_s": 5')
    fewer = timed.replace('"repetitions": 2', '"repetitions": 4')
    files = [tmp_path / name for name in ("more", "timed", "fewer")]
    for file, text in zip(files, (more, timed, fewer), strict=True):
        file.write_text(text)
    done = core("figures", *files)
    assert done.returncode == 0, done.stderr.decode()
    refused, figures, too_few = (json.loads(line) for line in done.stdout.splitlines())
    assert refused == too_few == {"refused": "lacks repetitions"}
    assert figures == host_figures(timed)


WELL = arguments_bytes("profile", "--model", "/m", "--output", "@run/result.jsonl")


ARGUMENTS = [
    (WELL, "--output /app/runs/0/result.jsonl"),
    (arguments_bytes("profile", "--model", "@artifacts/0a"), "--model /app/artifacts/0a"),
    (
        arguments_bytes("profile", "--model", "x@artifacts/0a", "@artifactsx"),
        "--model x@artifacts/0a @artifactsx",
    ),
    (WELL[:-1], "cut short"),
    (b"", "cut short"),
    (b"\0", "the host speaks '', this app slm-app/3"),
    (WELL.replace(b"slm-app/3", b"slm-app/1"), "the host speaks 'slm-app/1', this app slm-app/3"),
    (arguments_bytes("profile", engine="other"), "no engine 'other'"),
    (arguments_bytes("rm"), "no mode 'rm'"),
    (arguments_bytes(), "no mode 'null'"),
    (WELL + b"x" * (1 << 20) + b"\0", "longer than"),
]


def test_arguments_travel_as_a_file(core: Core, tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(len(ARGUMENTS))]
    for file, (content, _) in zip(files, ARGUMENTS, strict=True):
        file.write_bytes(content)
    lines = core("arguments", *files).stdout.splitlines()
    for line, (_, answer) in zip(lines, ARGUMENTS, strict=True):
        said = json.loads(line)
        assert answer in (said["refused"] if "refused" in said else " ".join(said["texts"]))


def test_the_app_knows_which_engines_it_was_built_with(core: Core, tmp_path: Path) -> None:
    packages = {
        "one": ["lib/arm64-v8a/libslm_ort.so", "lib/arm64-v8a/libonnxruntime.so"],
        "both": ["lib/x86_64/libslm_ort.so", "lib/x86_64/libslm_et.so"],
        "none": ["lib/arm64-v8a/libonnxruntime.so", "assets/libslm_et.so", "classes.dex"],
    }
    for name, entries in packages.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for entry in entries:
                archive.writestr(entry, "")
    done = core("engines", *(tmp_path / name for name in packages))
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        ["onnxruntime"],
        ["onnxruntime", "executorch"],
        [],
    ]


def test_whoever_a_file_is_shared_with_learns_its_name_and_size_alone(core: Core, tmp_path: Path) -> None:
    run = "0123456789abcdef"
    for name in (run, "f" * 16):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / run / "shared.jsonl").write_text("x" * 321)

    def query(path: str) -> list[str]:
        uri = f"content://slm.toolkit.app.runs/{path}"
        return (
            core("emulated", "content", tmp_path, "0.1.0", "query", "--uri", uri).stdout.decode().splitlines()
        )

    assert query("engines") == ["No result found."]
    assert query(f"{run}/shared.jsonl") == [f"Row: 0 _display_name=slm-run-{run}-shared.jsonl, _size=321"]
    assert query(f"{run}/arguments") == query(run) == []
    assert query("") == [
        f"Row: {row} run_id={name}, state=13 not_started" for row, name in enumerate([run, "f" * 16])
    ]


def test_only_files_of_runs_are_read_and_written(core: Core) -> None:
    run = "0123456789abcdef"
    asked = {
        f"r{run}/stdout": True,
        f"r{run}/result.jsonl": True,
        f"r{run}/exit": True,
        f"w{run}/arguments": True,
        f"r{run}/arguments": False,
        f"w{run}/prompt.txt": True,
        f"w{run}/open-12": True,
        f"w{run}/open-": False,
        f"w{run}/exit": False,
        f"w{run}/result.jsonl": False,
        f"r{run}/../{run}/exit": False,
        "r../exit": False,
        "r0123456789ABCDEF/exit": False,
        f"r{run}": False,
        "r": False,
        "r/": False,
        f"r{run}/exit/": False,
        f"r{run}\n/exit": False,
    }
    answers = [json.loads(line) for line in core("files", *asked).stdout.splitlines()]
    assert ["file" in answer for answer in answers] == list(asked.values())
    assert all(one["file"].startswith(f"/runs/{run}/") for one in answers if "file" in one)


def test_only_a_prepared_run_is_started(core: Core, tmp_path: Path) -> None:
    prepared, ended, empty, begun, full = (str(digit) * 16 for digit in range(5))
    for run in (prepared, ended, empty, begun, full):
        (tmp_path / run).mkdir()
    for run in (prepared, ended, begun, full):
        (tmp_path / run / "arguments").write_bytes(WELL)
    (tmp_path / ended / "exit").write_text("0 ok\n")
    (tmp_path / begun / "begun").write_text("77\n")
    (tmp_path / full / "exit.part").symlink_to("/dev/full")
    asked = {
        ended: "has ended already",
        begun: "has begun already",
        full: "cannot begin: No space left on device",
        empty: "was never prepared",
        "f" * 16: "was never prepared",
        f"../{prepared}": "is no id of a run",
        f"{prepared}/": "is no id of a run",
        f"{prepared}\n": "is no id of a run",
        "": "is no id of a run",
        "-n": "is no id of a run",
        "$(id)": "is no id of a run",
        "x" * 100_000: "is no id of a run",
    }
    answers = [json.loads(line) for line in core("starts", tmp_path, *asked).stdout.splitlines()]
    for answer, why in zip(answers, asked.values(), strict=True):
        assert why in answer["refused"]
    # An activity that Android makes anew brings the same intent once more, in this process or in the next.
    other = "5" * 16
    (tmp_path / other).mkdir()
    (tmp_path / other / "arguments").write_bytes(WELL)
    here = [
        json.loads(line) for line in core("starts", tmp_path, prepared, prepared, other).stdout.splitlines()
    ]
    [later] = [json.loads(line) for line in core("starts", tmp_path, prepared).stdout.splitlines()]
    assert here[0] == {"begun": prepared}
    assert "has begun already" in here[1]["refused"] and "has begun already" in later["refused"]
    assert f"run {prepared} is in this process" in here[2]["refused"]
    assert not (tmp_path / other / "begun").exists() and not (tmp_path / full / "begun").exists()


def test_a_full_disk_ends_a_run_with_a_code_of_its_own(core: Core, tmp_path: Path) -> None:
    def state(run: str) -> str:
        asked = ("content", tmp_path, "0.1.0", "call", "--method", "state", "--arg", run)
        return core("emulated", *asked).stdout.decode()

    full = {
        "app.jsonl": "no sample",
        "stderr app.jsonl": "no word of it",
        "app.jsonl exit": "not even its ending",
    }
    for number, files in enumerate(full):
        run = str(number) * 16
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        (folder / "arguments").write_bytes(WELL)
        for name in files.split():
            if name == "exit":
                (folder / name / "in the way").mkdir(parents=True)
            else:
                (folder / name).symlink_to("/dev/full")
        done = core("emulated", "run", tmp_path, "0.1.0", run, "activity")
        if "exit" in files:
            # The process says it in its place, and Android keeps that.
            assert done.returncode == 8
            (tmp_path / "ends").mkdir()
            (tmp_path / "ends" / (folder / "begun").read_text().strip()).write_text("8\n")
            assert "state=8 exit_self" in state(run)
        else:
            assert done.returncode == 0 and (folder / "exit").read_text().strip() == "8 runner"
        if "stderr" not in files:
            said = (folder / "stderr").read_text()
            assert said == "slm-app: error: the app's folder cannot be used: No space left on device\n"


def test_android_says_how_a_process_ended(core: Core) -> None:
    expected = {
        "3:0": (137, "low_memory"),
        "2:9": (137, "signaled"),
        "2:15": (143, "signaled"),
        "5:11": (139, "crash_native"),
        "5:0": (134, "crash_native"),
        "1:7": (7, "exit_self"),
        "1:0": (13, "exit_self"),
        "4:0": (13, "crash"),
        "6:0": (13, "anr"),
        "10:0": (13, "user_requested"),
        "99:0": (13, "reason_99"),
        "none": (13, "unknown"),
    }
    answers = [json.loads(line) for line in core("endings", *expected).stdout.splitlines()]
    assert [(one["code"], one["why"]) for one in answers] == list(expected.values())


def test_the_chart_shows_every_repetition(core: Core, tmp_path: Path) -> None:
    steps = [[1_000_000 * (10 + (step * (n + 3)) % 7) for step in range(32)] for n in range(3)]
    (tmp_path / "result").write_text(result_text([10, 20, 30], steps, prompt=16))
    done = core("chart", tmp_path / "result", tmp_path / "chart.png", "640", "400")
    assert done.returncode == 0, done.stderr.decode()
    width, height, inks = png_colours(tmp_path / "chart.png")
    assert (width, height) == (640, 400)
    # Background, the axis, repetitions, and the latest of them, whose slopes are blended with the background.
    assert {(255, 255, 255), (128, 128, 128), (192, 192, 192)} <= inks
    assert any(blue - red > 150 for red, _, blue in inks)


def png_colours(path: Path) -> tuple[int, int, set[tuple[int, int, int]]]:
    from PIL import Image

    with Image.open(path) as image:
        colours = image.convert("RGB").getcolors(1 << 20)
        assert colours is not None
        return *image.size, {colour for _, colour in colours}  # type: ignore[return-value]


@pytest.mark.parametrize("system", [None, "Zwei\n\nZeilen {{ x }} é \ue000%Y\ue001"])
def test_conversations_are_written_as_on_the_host(core: Core, tmp_path: Path, system: str | None) -> None:
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    formats = [
        one
        for one in (split_template(text, tokens) for text in SHAPES.values())
        if isinstance(one, ChatFormat)
    ]
    said = [
        "Hi \ue000%d\ue001",
        " <think>\nhm</think>\n\n\u0085 日本 \x1c",
        "b",
        "\n\nno </think> twice </think>\n c\u00a0",
        "🙂",
    ]
    files = []
    expected = []
    for number, one in enumerate(formats):
        asked = one.system_prefix and system
        manifest = {"chat": one.model_dump()}
        day = datetime.date(2026, 1 + number % 12, 1 + number)
        content = {"manifest": manifest, "said": said, "system": asked, "today": str(day)}
        (tmp_path / str(number)).write_text(json.dumps(content))
        files.append(tmp_path / str(number))
        expected.append(one.text(said, system=asked, today=day))
    assert len(formats) > 20
    done = core("conversations", *files)
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


def test_a_manifest_without_a_chat_says_why(core: Core, tmp_path: Path) -> None:
    whole = ChatFormat(
        opening="",
        system_prefix=None,
        system_suffix=None,
        after_user="",
        after_answer="",
        before_new_answer="",
    ).model_dump()
    refused = {
        json.dumps({"chat_template_file": None}): "no chat template",
        json.dumps({"chat_template_file": "chat_template.jinja"}): "convert the model again",
        json.dumps(
            {"chat": UnsplitChat(reason="it counts").model_dump()}
        ): "cannot be followed here: it counts",
        json.dumps({"chat": whole | {"form": "other"}}): "install it again",
        json.dumps({"chat": whole | {"after_user": None}}): "install it again",
        json.dumps({"chat": whole | {"system_prefix": "a"}}): "install it again",
    }
    for number, manifest in enumerate(refused):
        content = f'{{"manifest": {manifest}, "said": ["a"], "system": null, "today": "2026-01-01"}}'
        (tmp_path / str(number)).write_text(content)
    done = core("conversations", *(tmp_path / str(number) for number in range(len(refused))))
    answers = [json.loads(line)["refused"] for line in done.stdout.splitlines()]
    assert all(said in answer for said, answer in zip(refused.values(), answers, strict=True)), answers


def test_the_app_knows_the_engines_that_specs_put_into_it() -> None:
    core = app_source() / "core" / "src" / "main" / "kotlin" / "slm" / "toolkit" / "core" / "Arguments.kt"
    known = re.findall(r'^    [A-Z]+\("(\w+)", "(\w+)", .*\),$', core.read_text(), re.MULTILINE)
    assert sorted(known) == sorted((engine.name, in_app(engine).library) for engine in engines_in_app())
