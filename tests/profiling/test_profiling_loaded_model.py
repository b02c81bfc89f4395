"""A model that stays loaded, on this machine and a virtual phone: turns, stops, and what can go wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from slm_process import SlmProcess
from tiny_artifact import CONTEXT_LENGTH
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.chat.loaded_model import LoadedModel, load_model
from toolkit.chat.request import GenerateRequest
from toolkit.devices.discovery import open_device
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import ContextFull, DeviceError, RunnerFailed, UsageError
from toolkit.settings import Settings

PROMPT = [5, 17, 211]


@pytest.fixture(params=["local", "phone"])
def model(request: pytest.FixtureRequest, artifact: Artifact, settings: Settings) -> Iterator[LoadedModel]:
    """The model on each kind of device; what it leaves there is looked at when it is gone."""
    name = "local" if request.param == "local" else request.getfixturevalue("phone").serial
    device = open_device(name, settings)
    with load_model(device, artifact, settings) as loaded:
        yield loaded
    left = device.shell(["ls", f"{device.workdir}/runs"], timeout_s=10)
    assert left.stdout.split() == []


def silent(piece: str) -> None:
    pass


def test_turns_are_the_greedy_ones_and_keep_what_they_share(model: LoadedModel, decoder: TinyDecoder) -> None:
    first = model.answer(PROMPT, GenerateRequest(max_tokens=6), on_text=silent)
    assert (first.token_ids, first.kept) == (decoder.greedy(PROMPT, 6), 0)
    longer = [*PROMPT, *first.token_ids, 42]
    second = model.answer(longer, GenerateRequest(max_tokens=4), on_text=silent)
    # The last token of an answer has not been fed.
    assert (second.token_ids, second.kept) == (decoder.greedy(longer, 4), len(longer) - 2)
    other = model.answer([5, 18], GenerateRequest(max_tokens=3), on_text=silent)
    assert (other.token_ids, other.kept) == (decoder.greedy([5, 18], 3), 1)


def test_an_answer_is_stopped_and_the_model_goes_on(model: LoadedModel, decoder: TinyDecoder) -> None:
    expected = decoder.greedy(PROMPT, 9)

    def interrupt(piece: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.answer(PROMPT, GenerateRequest(max_tokens=200), on_text=interrupt)
    # By another thread, as a server does.
    stopper = threading.Event()

    def from_outside() -> None:
        stopper.wait(60)
        model.stop()

    thread = threading.Thread(target=from_outside)
    thread.start()
    stopped = model.answer(PROMPT, GenerateRequest(max_tokens=250), on_text=lambda piece: stopper.set())
    thread.join()
    assert stopped.ending == "stopped" or len(stopped.token_ids) == 250
    # By a text of two tokens, of which the first comes alone before.
    text = f"w{expected[5]}w{expected[6]}"
    ended = model.answer(PROMPT, GenerateRequest(max_tokens=200, stop=(text,)), on_text=silent)
    assert (ended.text, ended.ending) == ("".join(f"w{one}" for one in expected[:5]), "stop")
    assert model.answer(PROMPT, GenerateRequest(max_tokens=9), on_text=silent).token_ids == expected


def test_a_full_context_is_a_length_and_no_room_is_refused(model: LoadedModel) -> None:
    nearly = [5] * (CONTEXT_LENGTH - 2)
    answer = model.answer(nearly, GenerateRequest(max_tokens=9), on_text=silent)
    assert (answer.ending, len(answer.token_ids)) == ("length", 2)
    with pytest.raises(ContextFull, match=f"has {CONTEXT_LENGTH} tokens"):
        model.answer([5] * CONTEXT_LENGTH, GenerateRequest(), on_text=silent)
    assert model.answer(PROMPT, GenerateRequest(max_tokens=1), on_text=silent).kept == 1


def test_a_phone_that_dies_is_a_device_error_now_and_later(
    doomed_phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    device = open_device(doomed_phone.serial, settings)
    request = GenerateRequest(max_tokens=250)
    with load_model(device, artifact, settings) as model:

        def die(piece: str) -> None:
            doomed_phone.die()

        # A tiny model's answer may be whole before its phone is gone.
        with suppress(DeviceError):
            model.answer(PROMPT, request, on_text=die)
        for _ in range(2):
            with pytest.raises(DeviceError) as caught:
                model.answer(PROMPT, request, on_text=silent)
            assert caught.value.serial == doomed_phone.serial


def test_a_model_that_cannot_be_loaded_says_so(
    local: LocalDevice, artifact: Artifact, settings: Settings
) -> None:
    with pytest.raises(UsageError, match="in the shell only"):
        load_model(local, artifact, settings, runner="app").__enter__()
    with load_model(local, artifact, settings):
        pass
    (broken,) = Path(local.workdir, "artifacts").glob("*/model.onnx")
    broken.chmod(0o644)
    broken.write_bytes(b"x" * broken.stat().st_size)
    # The device takes it for what was pushed: its receipt fits.
    receipt = broken.with_name(f".{broken.name}.sha256-receipt")
    sha256, now = receipt.read_text().split()[0], broken.stat()
    receipt.write_text(f"{sha256} {now.st_size} {int(now.st_mtime)} {int(now.st_ctime)}\n")
    with pytest.raises(RunnerFailed, match="could not load the model"), load_model(local, artifact, settings):
        pass
    assert list(Path(local.workdir, "runs").iterdir()) == []


def test_a_chat_keeps_what_was_said(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, tmp_path: Path
) -> None:
    saved = tmp_path / "talk.json"
    lines = ["w5", "w6", f"/save {saved}", "/system w7", "w8", "/reset", "w9", "/quit", "never"]
    script = tmp_path / "lines"
    script.write_text("".join(f"{line}\n" for line in lines))
    with script.open() as stdin:
        process = slm("chat", artifact.path, "-d", phone.serial, "-n", "3", stdin=stdin)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(out.splitlines()) == 4
    talk = json.loads(saved.read_text())
    assert [one["role"] for one in talk] == ["user", "assistant"] * 2
    assert talk[1]["content"] == out.splitlines()[0]
    # <user> w5 <assistant> was there for the second message; the answer's text makes other tokens here.
    assert "(3 kept)" in err and "tok/s" in err
    with script.open("w") as stdin:
        stdin.write("/save\n")
    with script.open() as stdin:
        process = slm("chat", artifact.path, "-d", "local", "--messages", saved, stdin=stdin)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "/save needs a file" in err and "next: /save " in err


def test_a_file_of_prompts_is_answered_by_one_model(
    slm: SlmProcess, artifact: Artifact, decoder: TinyDecoder, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("w5 w17\n\nw5 w18\n")
    common = ("generate", artifact.path, "-d", "local", "-n", "4", "--no-chat", "--prompts")
    out, err = slm(*common, file, "--json").communicate(timeout=120)
    answers = json.loads(out)
    assert [one["token_ids"] for one in answers] == [decoder.greedy([5, last], 4) for last in (17, 18)]
    assert [one["kept"] for one in answers] == [0, 1]
    text, _ = slm(*common, file).communicate(timeout=120)
    assert text.splitlines() == [one["text"] for one in answers]
    file.write_text("w5 w17\n" + "w5 " * 400)
    process = slm(*common, file, "--json")
    out, err = process.communicate(timeout=60)
    assert out == "" and "the prompt has 400 tokens" in err, "looked at before the model is loaded"
    for content, wrong in {"": "holds no prompt", '"a\n': "is not JSON", "[1]\n": "is not an object"}.items():
        bad = tmp_path / "prompts.jsonl"
        bad.write_text(content)
        process = slm(*common, bad)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2 and wrong in err
