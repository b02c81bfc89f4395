"""From prompt to ids and back, and generating on this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from slm_process import SlmProcess
from tiny_artifact import CONTEXT_LENGTH, EOS
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.chat.generate import generate, prompt_ids
from toolkit.chat.request import GenerateRequest
from toolkit.chat.stream import TextStream
from toolkit.chat.tokens import stop_token_ids
from toolkit.chat_template.template import render_chat
from toolkit.devices.local import LocalDevice
from toolkit.errors import NotAnArtifact, UsageError
from toolkit.settings import Settings


@pytest.fixture
def loose(artifact: Artifact, tmp_path: Path) -> Artifact:
    """A copy whose text files may be changed."""
    shutil.copytree(artifact.path, tmp_path / "loose")
    return Artifact(tmp_path / "loose", artifact.manifest)


def set_template(artifact: Artifact, template: str, **config: object) -> None:
    (artifact.path / "chat_template.jinja").unlink(missing_ok=True)
    text = json.dumps({"chat_template": template, **config})
    (artifact.path / "tokenizer_config.json").write_text(text)


def test_generation_is_the_greedy_one(
    local: LocalDevice, artifact: Artifact, decoder: TinyDecoder, settings: Settings
) -> None:
    pieces: list[str] = []
    ids = prompt_ids(artifact, "w5 w17 w211", chat=False)
    assert ids == [5, 17, 211]
    options = GenerateRequest(max_tokens=10)
    generated = generate(local, artifact, ids, options, settings, on_text=pieces.append)
    expected = decoder.greedy(ids, 10)
    assert EOS not in expected
    assert generated.token_ids == expected
    assert "".join(pieces) == generated.text == "".join(f"w{token}" for token in expected)
    assert all(ns > 0 for ns in generated.token_ns)
    assert list(Path(local.workdir, "runs").iterdir()) == []


def test_generation_stops_at_a_stop_token(
    local: LocalDevice, loose: Artifact, decoder: TinyDecoder, settings: Settings
) -> None:
    expected = decoder.greedy([5, 17, 211], 10)
    (loose.path / "generation_config.json").write_text(json.dumps({"eos_token_id": expected[4]}))
    options = GenerateRequest(max_tokens=10)
    generated = generate(local, loose, [5, 17, 211], options, settings, on_text=lambda piece: None)
    assert generated.token_ids == expected[: expected.index(expected[4])]


def test_sampling_is_repeatable(local: LocalDevice, artifact: Artifact, settings: Settings) -> None:
    def sampled(seed: int) -> list[int]:
        options = GenerateRequest(max_tokens=8, temperature=2.0, top_k=50, top_p=0.95, seed=seed)
        return generate(local, artifact, [5], options, settings, on_text=lambda piece: None).token_ids

    assert sampled(1) == sampled(1) != sampled(2)


def test_the_command_prints_text_and_json(slm: SlmProcess, artifact: Artifact) -> None:
    arguments = ("generate", artifact.path, "-d", "local", "-p", "w5", "--no-chat", "-n", "4")
    text, err = slm(*arguments).communicate(timeout=60)
    out, _ = slm(*arguments, "--json").communicate(timeout=60)
    assert json.loads(out)["text"] == text.rstrip("\n") != ""
    assert "1 prompt tokens, 4 generated" in err


def test_the_command_takes_a_conversation(slm: SlmProcess, artifact: Artifact, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps([{"role": role, "content": "w5"} for role in ("user", "assistant", "user")]))
    common = ("generate", artifact.path, "-d", "local", "-n", "4")
    out, _ = slm(*common, "--messages", file, "--json").communicate(timeout=60)
    assert json.loads(out)["prompt_ids"] == [329, 5, 0, 5, 329, 5, 0]
    for wrong in ([], ["-p", "w5", "--messages", file], ["--messages", tmp_path / "none.json"]):
        process = slm(*common, *wrong)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "next:" in err and "Traceback" not in err


def test_a_closed_stdout_ends_generation_quietly(slm: SlmProcess, artifact: Artifact) -> None:
    process = slm("generate", artifact.path, "-d", "local", "-p", "w5", "--no-chat", "-n", "100")
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 141
    assert not [line for line in err.splitlines() if not line.startswith("push ")]


def test_a_prompt_as_long_as_the_context(local: LocalDevice, artifact: Artifact, settings: Settings) -> None:
    with pytest.raises(UsageError, match=f"has {CONTEXT_LENGTH} tokens, its context length"):
        generate(local, artifact, [5] * CONTEXT_LENGTH, GenerateRequest(), settings, on_text=print)


def test_an_empty_prompt(artifact: Artifact) -> None:
    with pytest.raises(UsageError, match="empty"):
        prompt_ids(artifact, "")


def test_the_chat_template_is_applied_by_default(artifact: Artifact) -> None:
    assert render_chat(artifact, "w5 w6") == "<user> w5 w6 <assistant>"
    assert render_chat(artifact, "w5", system="w7") == "<system> w7 <user> w5 <assistant>"
    assert prompt_ids(artifact, "w5") == [329, 5, 0]
    assert prompt_ids(artifact, "w5", chat=False) == [5]


def test_templates_see_what_transformers_gives_them(loose: Artifact) -> None:
    set_template(
        loose,
        "{{ bos_token }}{{ messages | tojson }}{% for m in messages %}{% if loop.first %}{% continue %}"
        "{% endif %}{% endfor %}{{ strftime_now('%Y')|length }}{{ eos_token }}",
        bos_token="<s>",
        eos_token={"content": "</s>"},
    )
    assert render_chat(loose, "a<b é") == '<s>[{"role": "user", "content": "a<b é"}]4</s>'


def test_a_template_can_refuse(loose: Artifact) -> None:
    set_template(loose, "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}x")
    assert render_chat(loose, "hi") == "x"
    with pytest.raises(UsageError, match="no system"):
        render_chat(loose, "hi", system="be kind")


@pytest.mark.parametrize(
    "template", ["{% for %}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.append(1) }}"]
)
def test_a_broken_or_hostile_template(loose: Artifact, template: str) -> None:
    set_template(loose, template)
    with pytest.raises(UsageError, match="chat template"):
        render_chat(loose, "hi")


def test_named_templates(loose: Artifact) -> None:
    set_template(loose, "")
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (loose.path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert render_chat(loose, "hi") == "yes"


def test_a_base_model_has_no_chat(loose: Artifact) -> None:
    (loose.path / "chat_template.jinja").unlink()
    assert prompt_ids(loose, "w5") == [5]
    with pytest.raises(UsageError, match="no chat template"):
        prompt_ids(loose, "w5", chat=True)
    with pytest.raises(UsageError, match="--system"):
        prompt_ids(loose, "w5", system="w6")


def test_stop_tokens_come_from_every_place(loose: Artifact) -> None:
    assert stop_token_ids(loose) == [EOS]
    (loose.path / "generation_config.json").write_text('{"eos_token_id": [3, 330]}')
    (loose.path / "config.json").write_text('{"eos_token_id": null}')
    assert stop_token_ids(loose) == [3, EOS]


def test_artifacts_before_generation_config_have_their_engines_place(loose: Artifact) -> None:
    (loose.path / "genai_config.json").write_text('{"model": {"eos_token_id": [5]}}')
    assert stop_token_ids(loose) == [5]


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_an_unusable_tokenizer(loose: Artifact, content: str | None) -> None:
    (loose.path / "tokenizer.json").unlink()
    if content is not None:
        (loose.path / "tokenizer.json").write_text(content)
    with pytest.raises(NotAnArtifact, match=r"tokenizer\.json"):
        prompt_ids(loose, "w5", chat=False)


def test_a_character_of_several_tokens_comes_whole() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = {piece: number for number, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    stream = TextStream(tokenizer)
    pieces = [stream.feed(token) for token in tokenizer.encode("né 🙂").ids]
    assert pieces == ["n", "", "é", " ", "", "", "", "🙂"]
