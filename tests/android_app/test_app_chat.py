"""A conversation in the app's core, on this machine's JVM: template, tokens and session are the app's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contract import Core
from talking_artifact import CHATML, STOP, answers, make_talking_artifact, tokenizer_of_bytes
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.chat.conversation import parse_messages
from toolkit.chat_template.environment import render_with_transformers

pytestmark = pytest.mark.timeout(900)

Chat = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_talking_artifact(tmp_path_factory.mktemp("talking") / "a", TinyDecoder(context_length=256))


@pytest.fixture
def chat(core: Core, ort_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(ort_library))

    def talk(folder: Path, *said: str, system: str | None = None) -> subprocess.CompletedProcess[bytes]:
        file = tmp_path / "conversation.json"
        file.write_text(json.dumps({"system": system, "messages": said}))
        words = ["--model", folder, "--run-id", "r1", "--conversation", file, "--max-tokens", "6"]
        return core("chat", *words, "--threads", "2", library=ort_library)

    return talk


def records(done: subprocess.CompletedProcess[bytes], kind: str) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr.decode()
    return [one for one in map(json.loads, done.stdout.splitlines()) if one["record"] == kind]


def test_a_conversation_is_that_of_the_original_libraries(talking: Artifact, chat: Chat) -> None:
    said = ["Hi", "  日本 🙂 {{ x }} ", "a\nb"]
    for system in (None, "Be brief é"):
        done = chat(talking.path, *said, system=system)
        expected = answers(TinyDecoder(context_length=256), [one.strip() for one in said], 6, system)
        got = records(done, "answer")
        assert [(one["prompt_tokens"], one["tokens"], one["text"]) for one in got] == [
            (len(prompt), len(tokens), text) for prompt, tokens, text in expected
        ]
        # What was computed for a turn is there for the next one.
        assert got[0]["kept"] == 0
        assert all(now["kept"] >= before["prompt_tokens"] for before, now in zip(got, got[1:], strict=False))
        pieces = records(done, "text")
        for answer in got:
            assert "".join(one["text"] for one in pieces if one["turn"] == answer["turn"]) == answer["text"]


def test_a_system_message_is_set_in_between_and_the_conversation_saved(
    talking: Artifact, core: Core, ort_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(ort_library))
    done = core("dialogue", talking.path, "Hi é", "/system Be brief", "And?", library=ort_library)
    assert done.returncode == 0, done.stderr.decode()
    saved = parse_messages(done.stdout.decode(), origin="saved")
    decoder = TinyDecoder(context_length=256)
    (_, _, first), *_ = answers(decoder, ["Hi é"], 6)
    assert [one["role"] for one in saved] == ["system", "user", "assistant", "user", "assistant"]
    assert [one["content"] for one in saved[:4]] == ["Be brief", "Hi é", first, "And?"]
    # The second answer is to the whole conversation with the new message in front.
    prompt = tokenizer_of_bytes().encode(
        render_with_transformers(CHATML, saved[:4], {}), add_special_tokens=False
    )
    tokens = decoder.greedy(prompt.ids, 6)
    tokens = tokens[: tokens.index(STOP)] if STOP in tokens else tokens
    assert saved[4]["content"] == tokenizer_of_bytes().decode(tokens)


def test_what_cannot_be_talked_with_says_why(talking: Artifact, chat: Chat, tmp_path: Path) -> None:
    def refused(code: int, folder: Path, *said: str) -> str:
        done = chat(folder, *said)
        assert done.returncode == code, done.stderr.decode()
        return done.stderr.decode()

    assert "leave no room in a context of 256" in refused(2, talking.path, "x" * 300)
    assert "nothing to say" in refused(2, talking.path, " \n")
    assert "there is no artifact" in refused(2, tmp_path, "Hi")
    older = make_artifact(tmp_path / "older", TinyDecoder(context_length=256))
    assert "convert the model again" in refused(2, older.path, "Hi")
    # Words are no tokens of a family.
    other = make_artifact(tmp_path / "words", TinyDecoder(context_length=256), chat=talking.manifest.chat)
    assert "tokenizer.json has " in refused(2, other.path, "Hi")
    broken = make_talking_artifact(tmp_path / "broken", TinyDecoder(context_length=256))
    (broken.path / "model.onnx").write_bytes(b"no model")
    assert "slm-app-ort: error:" in refused(4, broken.path, "Hi")
