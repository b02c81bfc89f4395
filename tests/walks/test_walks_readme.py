"""What the README's tasks show, typed as they stand there by a stranger with an empty home.

The models are tiny and the phone is a virtual one; nothing else differs from the README.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from private_adb import AdbServer
from virtual_phones import running_phone

from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

ROOT = Path(__file__).parents[2]


def commands(heading: str) -> list[str]:
    """The commands in the README's first block under a heading."""
    section = (ROOT / "README.md").read_text().partition(f"### {heading}\n")[2]
    block = re.search(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None, f"the README has no commands under {heading!r}"
    return block[1].splitlines()


class Stranger:
    """Types commands into a shell, in a folder and with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        home = folder / "home"
        home.mkdir()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLM_", "XDG_"))
        }
        # The runner's bundle is built once for all tests.
        cache = str(Settings.from_environment().cache_dir)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {**inherited, "HOME": str(home), "PATH": path, "SLM_CACHE_DIR": cache}

    def types(self, command: str, replaced: Mapping[str, str] = {}) -> str:
        """What the command prints; it must succeed."""
        for shown, meant in replaced.items():
            command = command.replace(shown, meant)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def unattended(self, command: str, replaced: Mapping[str, str] = {}) -> str:
        """The same in an empty environment and another folder, as cron and systemd start commands."""
        venv = self.folder / ".venv"
        if not venv.exists():
            venv.symlink_to(Path(sys.executable).parents[1])
        kept = {name: self.environ[name] for name in ("HOME", "SLM_CACHE_DIR")}
        for shown, meant in {"/srv/lab": str(self.folder), **replaced}.items():
            command = command.replace(shown, meant)
        done = subprocess.run(
            ["sh", "-c", command if "cd " in command else f"cd {self.folder} && {command}"],
            cwd="/",
            env={**kept, "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)


@pytest.fixture
def serial(adb_server: AdbServer, tmp_path: Path) -> Iterator[str]:
    home = replace(Settings.from_environment(), data_dir=tmp_path / "phones")
    with running_phone(adb_server.client, home, PhoneSpec("walk", model="Virtual Walker")) as phone:
        yield phone.serial


def test_a_fine_tuned_model_comes_to_a_phone(stranger: Stranger, serial: str) -> None:
    save_model(stranger.folder / "my-model")
    typed = commands("A fine-tuned model, on a phone")
    assert len(typed) <= 5
    for command in typed:
        said = stranger.types(command, {"SERIAL": serial})
        if "convert" in command:
            assert "verdict" in said
    assert serial in (stranger.folder / "report.html").read_text()


def test_two_engines_are_compared(stranger: Stranger) -> None:
    recipe = "recipes/smollm2/two-backends.yaml"
    text = (ROOT / recipe).read_text()
    for shown, meant in {
        "SmolLM2-135M-Instruct": "random:llama-tiny",
        "[8da4w, 8da8w]": "[8da4w]",
        "[local, virtual]": "[local]",
        "context: 1024": "context: 256",
    }.items():
        assert shown in text
        text = text.replace(shown, meant)
    (stranger.folder / recipe).parent.mkdir(parents=True)
    (stranger.folder / recipe).write_text(text)
    typed = commands("ONNX Runtime or ExecuTorch, and which scheme?")
    assert len(typed) <= 2
    run, compared = [stranger.types(command) for command in typed]
    assert "onnxruntime" in compared and "executorch" in compared
    assert list(Path(stranger.environ["HOME"]).rglob("report.html")), run


def test_every_night_is_compared_with_the_baseline(stranger: Stranger) -> None:
    typed = commands("Every night, in CI")
    assert len(typed) <= 3
    text = (ROOT / "README.md").read_text()
    begun, tagged = (
        re.search(f"`({verb}[^`]*)`", text) for verb in ("slm init nightly", "slm results tag main")
    )
    assert begun and tagged
    stranger.types(f"{begun[1]} --model random:llama-tiny")
    nightly = stranger.folder / "nightly.yaml"
    # One scheme on one engine, twice, is enough here.
    nightly.write_text(
        re.sub(r"(backend|quant): \[(\w+).*?\]", r"\1: [\2]", nightly.read_text()).replace(
            "mobile", "mobile-4bit"
        )
    )
    # Figures of so small a model mean nothing: that it judges is what counts here.
    generous = {"10%": "900%"}
    lab = (ROOT / "docs" / "lab.md").read_text()
    started = re.findall(r"^ExecStart=(.*)$", lab, re.MULTILINE)
    [cron] = re.findall(r"^0 3 \* \* \* (.*)$", lab, re.MULTILINE)
    # systemd and cron run what the README shows, in an environment without anything.
    assert [one.replace("%%", "%").partition(" ")[2] for one in started] == [
        one.partition(" ")[2].removesuffix(" --format github") for one in typed
    ]
    first = stranger.unattended(started[0])
    stranger.types(tagged[1])
    # To cron a bare % is the end of the line.
    assert "%" not in cron.replace("\\%", "")
    second = stranger.unattended(cron.replace("\\%", "%"), generous)
    told = stranger.types(typed[1], generous)
    assert "regression check" in told, first + second


def save_model(folder: Path) -> None:
    """A folder as training leaves it: weights, config, tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({"<s>": 0, "</s>": 1, **{c: i + 2 for i, c in enumerate(alphabet)}}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
