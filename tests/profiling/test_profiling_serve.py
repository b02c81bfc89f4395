"""`slm serve` asked by the official client: whole, streamed, in a queue, broken off, without its phone."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from private_adb import AdbServer
from slm_process import SlmProcess
from tiny_artifact import CONTEXT_LENGTH, make_artifact
from tiny_decoder import VOCAB, TinyDecoder

from toolkit.artifact import Artifact
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

PROMPT = [5, 17, 211]
Serve = Callable[..., "openai.OpenAI"]
# Seconds, also on a fast machine: a phone that vanishes during it does so in the middle.
LONG_ANSWER = 30_000


@pytest.fixture(scope="module")
def long_artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model with room for an answer that takes its time."""
    length = LONG_ANSWER + 100
    folder = tmp_path_factory.mktemp("long") / "long"
    return make_artifact(folder, TinyDecoder(context_length=length), context_length=length)


@pytest.fixture
def serve(slm: SlmProcess, artifact: Artifact, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers and gives a client of each; they end with the test, by the signal of Ctrl-C."""
    started: list[subprocess.Popen[str]] = []
    # A file: nobody reads a pipe while the server runs, and a full one would hold it up.
    with (tmp_path / "errors").open("w+") as errors:

        def start(device: str, *more: str, artifact: Artifact = artifact) -> openai.OpenAI:
            process = slm("serve", artifact.path, "-d", device, "--port", "0", *more, stderr=errors)
            started.append(process)
            assert process.stdout is not None
            address = process.stdout.readline().split()
            assert address[1:] == ["model", artifact.name]
            return openai.OpenAI(base_url=address[0], api_key="none", max_retries=0, timeout=120)

        yield start
        for process in started:
            process.send_signal(2)
            process.communicate(timeout=60)
            err = (tmp_path / "errors").read_text()
            assert process.returncode == 0, err
            assert "Traceback" not in err


def words(tokens: list[int]) -> str:
    """As the tiny tokenizer writes them."""
    marks = {0: "<assistant>", VOCAB - 2: "<user>"}
    return "".join(marks.get(token, f"w{token}") for token in tokens)


def complete(client: openai.OpenAI, artifact: Artifact, prompt: list[int], count: int, **more: object) -> str:
    answer = client.completions.create(model=artifact.name, prompt=prompt, max_tokens=count, **more)  # type: ignore[call-overload]
    return str(answer.choices[0].text)


def test_the_official_client_is_answered_whole_and_in_pieces(
    serve: Serve, artifact: Artifact, decoder: TinyDecoder
) -> None:
    client = serve("local")
    assert [one.id for one in client.models.list()] == [artifact.name]
    expected = decoder.greedy(PROMPT, 8)
    assert complete(client, artifact, PROMPT, 8) == words(expected)
    assert complete(client, artifact, PROMPT, 8, stop=f"{words(expected[3:5])}") == words(expected[:3])
    text = client.completions.create(model=artifact.name, prompt="w5 w17 w211", max_tokens=8, stream=True)
    assert "".join(one.choices[0].text for one in text) == words(expected)
    # As the template writes it.
    asked, rendered = [{"role": "user", "content": "w5"}], [329, 5, 0]
    chat = client.chat.completions.create(model=artifact.name, messages=asked, max_completion_tokens=4)  # type: ignore[arg-type]
    assert chat.choices[0].message.content == words(decoder.greedy(rendered, 4))
    assert chat.choices[0].finish_reason == "length"
    assert chat.usage is not None and chat.usage.prompt_tokens == 3
    pieces = list(
        client.chat.completions.create(
            model=artifact.name,
            messages=asked,  # type: ignore[arg-type]
            max_tokens=4,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    said = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
    assert said == chat.choices[0].message.content
    assert pieces[-1].usage is not None and pieces[-1].usage.completion_tokens == 4


def test_what_cannot_be_served_is_said_and_the_next_request_is_answered(
    serve: Serve, artifact: Artifact, decoder: TinyDecoder
) -> None:
    client = serve("local")
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-4'"):
        client.completions.create(model="gpt-4", prompt="w5")
    with pytest.raises(openai.BadRequestError) as full:
        complete(client, artifact, [5] * CONTEXT_LENGTH, 1)
    assert full.value.code == "context_length_exceeded"
    for prompt in ([], [-1], [10**9], [[1]], ["a", "b"], ""):
        with pytest.raises(openai.BadRequestError):
            client.completions.create(model=artifact.name, prompt=prompt)  # type: ignore[arg-type]
    for messages in ([], [{"content": "x"}], [{"role": "user", "content": [{"type": "image_url"}]}]):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model=artifact.name, messages=messages)  # type: ignore[arg-type]
    elsewhere = urllib.request.Request(f"{client.base_url}models", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(elsewhere)
    body = json.dumps({"model": artifact.name, "prompt": PROMPT, "max_tokens": 1}).encode()
    json_type = {"Content-Type": "application/json"}
    # What a web page may send without asking, and what browsers add to what it sends.
    for headers, status in (
        ({"Content-Type": "text/plain"}, "415"),
        ({}, "415"),
        ({**json_type, "Origin": "https://evil.example"}, "403"),
        ({**json_type, "Origin": "null"}, "403"),
    ):
        page = urllib.request.Request(f"{client.base_url}completions", data=body, headers=headers)
        with pytest.raises(urllib.error.HTTPError, match=status):
            urllib.request.urlopen(page)
    own = {
        "Content-Type": "application/json; charset=utf-8",
        "Origin": f"http://{client.base_url.netloc.decode()}",
    }
    page = urllib.request.Request(f"{client.base_url}completions", data=body, headers=own)
    assert urllib.request.urlopen(page).status == 200
    large = urllib.request.Request(f"{client.base_url}completions", data=b" " * (5 << 20), headers=json_type)
    with pytest.raises(urllib.error.HTTPError, match="413") as refused:
        urllib.request.urlopen(large)
    assert json.loads(refused.value.read())["error"]["code"] == "request_too_large"
    assert complete(client, artifact, PROMPT, 3) == words(decoder.greedy(PROMPT, 3))


def ask_in_every_way(
    client: openai.OpenAI, artifact: Artifact, decoder: TinyDecoder, *, seed: int, count: int, at_once: int
) -> None:
    """Many at the same time: whole, streamed, broken off, and wrong; every answer is right."""
    prompts = [[5, 17, one] for one in range(4)]
    expected = {tuple(one): decoder.greedy(one, 20) for one in prompts}

    def ask(number: int) -> None:
        chance = random.Random(seed + number)
        prompt, length = chance.choice(prompts), chance.randint(1, 20)
        right = words(expected[tuple(prompt)][:length])
        way = chance.choice(["whole", "streamed", "broken off", "broken off", "wrong"])
        if way == "whole":
            assert complete(client, artifact, prompt, length) == right
        elif way == "wrong":
            with pytest.raises(openai.BadRequestError):
                complete(client, artifact, prompt, 0)
        else:
            most = 200 if way == "broken off" else length
            stream = client.completions.create(
                model=artifact.name, prompt=prompt, max_tokens=most, stream=True
            )
            text = ""
            for piece in stream:
                text += piece.choices[0].text
                if way == "broken off" and len(text) > len(right):
                    stream.close()
                    break
            assert text.startswith(right)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(ask, range(count)))
    assert complete(client, artifact, prompts[0], 5) == words(expected[tuple(prompts[0])][:5])


def test_many_who_ask_and_hang_up_get_their_own_answers(
    serve: Serve, artifact: Artifact, decoder: TinyDecoder, phone: VirtualPhone
) -> None:
    ask_in_every_way(serve(phone.serial), artifact, decoder, seed=1, count=24, at_once=6)


@pytest.mark.soak
@pytest.mark.parametrize("place", ["local", "phone"])
def test_hundreds_who_ask_and_hang_up(
    serve: Serve, artifact: Artifact, decoder: TinyDecoder, phone: VirtualPhone, place: str
) -> None:
    client = serve("local" if place == "local" else phone.serial, "--queue", "16")
    ask_in_every_way(client, artifact, decoder, seed=7, count=200, at_once=12)


def test_a_full_queue_refuses(serve: Serve, artifact: Artifact) -> None:
    client = serve("local", "--queue", "0")

    def refused() -> bool:
        """Asks while another answer is under way, unless that has ended before."""
        stream = client.completions.create(model=artifact.name, prompt=PROMPT, max_tokens=250, stream=True)
        try:
            next(iter(stream))
            complete(client, artifact, PROMPT, 1)
        except openai.RateLimitError as error:
            return "wait already" in error.message
        finally:
            stream.close()
        return False

    assert any(refused() for _ in range(20))


def own_addresses() -> set[str]:
    """Addresses of this machine that are not the one it serves on."""
    # All of 127.0.0.0/8 is this machine's; the others are those that its routes use.
    found = {"127.0.0.2"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing; without a route there is no such address.
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))
            found.add(probe.getsockname()[0])
    return found - {"127.0.0.1"}


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 must be configured elsewhere")
@pytest.mark.parametrize("asked", [(), ("--host", "0.0.0.0")], ids=["unasked", "asked"])
def test_no_other_address_of_the_machine_is_listened_on_unless_asked(
    asked: tuple[str, ...], serve: Serve
) -> None:
    def answered(address: str, port: int | None) -> bool:
        try:
            socket.create_connection((address, port or 0), timeout=10).close()
        except ConnectionRefusedError:
            return False
        return True

    port = serve("local", *asked).base_url.port
    assert answered("127.0.0.1", port)
    assert {answered(address, port) for address in own_addresses()} == {bool(asked)}


def test_a_phone_that_vanishes_while_it_answers_ends_the_stream_with_an_error(
    serve: Serve,
    long_artifact: Artifact,
    decoder: TinyDecoder,
    doomed_phone: VirtualPhone,
    phones_home: Settings,
    adb_server: AdbServer,
) -> None:
    client = serve(doomed_phone.serial, artifact=long_artifact)
    stream = client.completions.create(
        model=long_artifact.name, prompt=PROMPT, max_tokens=LONG_ANSWER, stream=True
    )
    pieces = iter(stream)
    said = next(pieces).choices[0].text
    doomed_phone.die()
    with pytest.raises(openai.APIError, match=doomed_phone.serial):
        for piece in pieces:
            said += piece.choices[0].text
    # It had begun, and did not come to its end.
    right = words(decoder.greedy(PROMPT, 40))
    assert said[: len(right)] == right[: len(said)] and said.count("w") < LONG_ANSWER
    back(doomed_phone, phones_home, adb_server)
    assert complete(client, long_artifact, PROMPT, 3) == words(decoder.greedy(PROMPT, 3))


def back(phone: VirtualPhone, phones_home: Settings, adb_server: AdbServer) -> None:
    """A phone that is attached again, under the serial that it had."""
    port = int(phone.serial.rpartition(":")[2])
    again = start_phone(PhoneSpec(phone.name, model="Virtual Doomed", port=port), phones_home)
    bring_online(again, adb_server.client)


def test_a_phone_that_vanishes_is_an_error_and_one_that_comes_back_is_used(
    serve: Serve,
    artifact: Artifact,
    decoder: TinyDecoder,
    doomed_phone: VirtualPhone,
    phones_home: Settings,
    adb_server: AdbServer,
) -> None:
    client = serve(doomed_phone.serial)
    assert complete(client, artifact, PROMPT, 3) == words(decoder.greedy(PROMPT, 3))
    doomed_phone.die()
    for _ in range(2):
        with pytest.raises(openai.InternalServerError) as caught:
            complete(client, artifact, PROMPT, 3)
        assert caught.value.status_code == 503 and doomed_phone.serial in caught.value.message
    back(doomed_phone, phones_home, adb_server)
    assert complete(client, artifact, PROMPT, 3) == words(decoder.greedy(PROMPT, 3))
