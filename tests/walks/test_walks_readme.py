"""What the README's tasks show, typed as they stand there by a stranger with an empty home.

The models are tiny and the phone is a virtual one; nothing else differs from the README.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from stranger import ROOT, Stranger, commands

from toolkit.errors import StepsFailed


def test_a_fine_tuned_model_comes_to_a_phone(stranger: Stranger, serial: str) -> None:
    save_model(stranger.folder / "my-model")
    typed = commands("A fine-tuned model, on a phone")
    assert len(typed) <= 5
    for command in typed:
        # With what it says beside its output, as people read it.
        said = stranger.types(f"{command} 2>&1", {"SERIAL": serial})
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


def test_the_survey_is_redone_without_a_download(stranger: Stranger) -> None:
    typed = commands("The survey, redone")
    assert len(typed) == 1
    small = {
        "--models survey": "--models llama-tiny,gpt2-tiny",
        "--limit-params 700M": "--limit-params 700M --protocol smoke",
    }
    assert all(shown in typed[0] for shown in small)
    # Nobody answers there.
    stranger.environ["HF_ENDPOINT"] = "http://127.0.0.1:1"
    stranger.types(typed[0], small)
    [report] = Path(stranger.environ["HOME"]).rglob("report.html")
    page = report.read_text()
    # One's own figures beside the published ones, and the survey's statements with a verdict.
    assert all(said in page for said in ("llama-tiny", "gpt2-tiny", "Jetson Orin NX", "not enough data"))
    listed = re.search(r"`(slm study list)`", (ROOT / "README.md").read_text())
    assert listed and "latency-overview" in stranger.types(listed[1])


def test_every_night_is_compared_with_the_baseline(stranger: Stranger) -> None:
    # All that is typed, the recipe and the baseline included.
    typed = commands("Every night, in CI")
    assert len(typed) <= 3
    begun, *nightly_commands = typed
    stranger.types(f"{begun} --model random:llama-tiny")
    nightly = stranger.folder / "nightly.yaml"
    # One scheme on one engine, twice, is enough here.
    nightly.write_text(
        re.sub(r"(backend|quant): \[(\w+).*?\]", r"\1: [\2]", nightly.read_text()).replace(
            "mobile", "mobile-4bit"
        )
    )
    # Figures of so small a model mean nothing: that it judges is what counts here.
    generous = {"10%": "99%"}
    lab = (ROOT / "docs" / "lab.md").read_text()
    started = re.findall(r"^ExecStart=(.*)$", lab, re.MULTILINE)
    [cron] = re.findall(r"^0 3 \* \* \* (.*)$", lab, re.MULTILINE)
    # systemd and cron run what the README shows, in an environment without anything.
    assert [one.replace("%%", "%").partition(" ")[2] for one in started] == [
        one.partition(" ")[2].removesuffix(" --format github") for one in nightly_commands
    ]
    first = stranger.unattended(started[0])
    assert "baseline" in first
    # To cron a bare % is the end of the line.
    assert "%" not in cron.replace("\\%", "")
    second = stranger.unattended(cron.replace("\\%", "%"), generous)
    told = stranger.types(typed[2], generous)
    assert "regression check" in told, first + second
    [ci] = re.findall(r"^## CI\n.*?^```\n(.*?)^```", lab, re.MULTILINE | re.DOTALL)
    in_ci = {**generous, "slm ": ".venv/bin/slm "}
    batch, regressions = stranger.folder / "batch.xml", stranger.folder / "regress.xml"
    stranger.unattended(ci, in_ci)
    assert _failed(batch) == [] and len(ElementTree.parse(regressions).findall(".//testcase")) > 1
    # The night on which a phone is gone: its reports are there, and the job fails.
    nightly.write_text(nightly.read_text().replace('["local"]', '["local", "R5CT1234567"]'))
    for report in (batch, regressions):
        report.unlink()
    stranger.unattended(ci, in_ci, code=StepsFailed.exit_code)
    assert (
        _failed(batch)
        and all("R5CT1234567" in step for step in _failed(batch))
        and _failed(regressions) == []
    )


def _failed(junit: Path) -> list[str]:
    """The cases that failed."""
    cases = ElementTree.parse(junit).findall(".//testcase")
    assert cases
    return [case.get("name", "") for case in cases if case.find("failure") is not None]


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
