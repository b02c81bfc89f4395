"""Bad input: a typed error, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conversions import Convert, request
from gguf_files import write_model
from transformers import LlamaConfig

from toolkit import files
from toolkit.artifact import Artifact, staging
from toolkit.compress.adaptation import slowness
from toolkit.engines import ENGINES
from toolkit.errors import (
    ArtifactCorrupt,
    ArtifactExists,
    BadGroupSize,
    ContextTooLong,
    MissingWeights,
    ParityFailed,
    UnknownScheme,
    UnsupportedModel,
    UsageError,
)
from toolkit.export.quantization import plan_for
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve


@pytest.fixture
def llama(settings: Settings) -> ModelSource:
    return resolve("random:llama-tiny", settings)


class Damaged:
    """A WeightReader with one tensor missing or replaced."""

    def __init__(self, source: ModelSource, name: str, tensor: torch.Tensor | None) -> None:
        self._weights, self._name, self._tensor = source.weights, name, tensor

    def names(self) -> list[str]:
        return [n for n in self._weights.names() if self._tensor is not None or n != self._name]

    def shape(self, name: str) -> tuple[int, ...]:
        if name == self._name and self._tensor is not None:
            return tuple(self._tensor.shape)
        return self._weights.shape(name)

    def read(self, name: str) -> torch.Tensor:
        return self._tensor if name == self._name and self._tensor is not None else self._weights.read(name)

    def read_blocks(self, name: str) -> None:
        return None


def test_missing_weights_are_named(llama: ModelSource, convert_model: Convert, tmp_path: Path) -> None:
    broken = replace(llama, weights=Damaged(llama, "model.norm.weight", None))
    with pytest.raises(MissingWeights, match="model.norm.weight"):
        convert_model(broken)
    assert list(tmp_path.iterdir()) == []


def test_a_weight_of_another_shape_is_refused(llama: ModelSource, convert_model: Convert) -> None:
    broken = replace(llama, weights=Damaged(llama, "model.norm.weight", torch.ones(3)))
    with pytest.raises(MissingWeights, match=r"has shape \(3,\)"):
        convert_model(broken)


def test_wrong_weights_fail_parity_and_leave_nothing(
    convert_model: Convert, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toolkit.export.trial as module

    honest = module.reference_logits
    monkeypatch.setattr(module, "reference_logits", lambda *args, **given: -honest(*args, **given))
    for quant, advice in (("fp32", "take another --backend"), ("8da8w", "Use more bits")):
        with pytest.raises(ParityFailed, match="mean KL") as caught:
            convert_model("random:llama-tiny", quant)
        # Float32 has no more bits to take.
        assert str(caught.value.next_step).count("more bits do not help") == (quant == "fp32")
        assert advice in str(caught.value.next_step)
    assert list(tmp_path.iterdir()) == []
    kept = convert_model("random:llama-tiny", parity_check=False)
    assert kept.manifest.parity is None, "a check that is not asked for is not made"
    assert kept.manifest.greedy_reference is not None


def test_context_longer_than_the_models_is_refused(convert_model: Convert) -> None:
    with pytest.raises(ContextTooLong, match="trained for"):
        convert_model("random:llama-tiny", context=10**6)


def test_opset_out_of_range_is_refused(convert_model: Convert) -> None:
    with pytest.raises(UsageError, match="--opset 7"):
        convert_model("random:llama-tiny", opset=7)


def test_a_model_type_that_cannot_be_converted_is_refused(
    settings: Settings, convert_model: Convert, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        '{"model_type": "xlstm", "architectures": ["xLSTMForCausalLM"], "hidden_size": 64,'
        ' "num_blocks": 2, "num_heads": 2, "vocab_size": 128}'
    )
    with pytest.raises(UnsupportedModel):
        convert_model(f"random:{config}")
    assert list(tmp_path.iterdir()) == [config]


def test_an_operator_without_lowering_is_named_with_its_module(
    convert_model: Convert, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from toolkit.export.onnx import lowering

    known = {name: emitter for name, emitter in lowering._EMITTERS.items() if name != "aten.silu"}
    monkeypatch.setattr(lowering, "_EMITTERS", known)
    with pytest.raises(UnsupportedModel, match=r"aten\.silu \(silu in model\.layers\.0\.mlp\.act_fn\)"):
        convert_model("random:llama-tiny")
    assert list(tmp_path.iterdir()) == []


def test_existing_artifact_stays_unless_forced(convert_model: Convert, tmp_path: Path) -> None:
    first = convert_model("random:llama-tiny", output=tmp_path / "a")
    with pytest.raises(ArtifactExists, match="already exists"):
        convert_model("random:llama-tiny", output=tmp_path / "a")
    second = convert_model("random:llama-tiny", "8w", output=tmp_path / "a", overwrite=True)
    assert first.manifest.sha256 != second.manifest.sha256
    Artifact.load(tmp_path / "a").verify()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_conversions_into_one_folder_do_not_run_at_once(
    overwrite: bool, convert_model: Convert, tmp_path: Path
) -> None:
    target = tmp_path / "a [b]*"
    with staging(target, overwrite=overwrite):
        with pytest.raises(ArtifactExists, match="made by another process") as caught:
            convert_model("random:llama-tiny", output=target, overwrite=overwrite)
        assert caught.value.subject == str(target)
        # As is advised; and a folder of a name that begins alike is another one.
        convert_model("random:llama-tiny", output=tmp_path / "a")
    convert_model("random:llama-tiny", output=target, overwrite=overwrite)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", target.name]


def test_what_came_while_a_model_was_loaded_stays(
    convert_model: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that began together: the first is done when the second comes to write."""
    first = convert_model("random:llama-tiny", "8w", output=tmp_path / "made")

    def late(target: Path, scratch: Path) -> AbstractContextManager[bool]:
        (tmp_path / "made").rename(target)
        return nullcontext(True)

    monkeypatch.setattr(files, "claimed", late)
    with pytest.raises(ArtifactExists, match="already exists"):
        convert_model("random:llama-tiny", output=tmp_path / "a")
    assert Artifact.load(tmp_path / "a").manifest.sha256 == first.manifest.sha256
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_in_which_no_token_sees_itself_is_named(
    window: int, convert_model: Convert, settings: Settings, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    fields = resolve("random:mistral-tiny", settings).config.to_dict()
    config.write_text(json.dumps(fields | {"sliding_window": window}))
    with pytest.raises(UnsupportedModel, match=rf"sliding_window is {window}, so that no token") as caught:
        convert_model(f"random:{config}", output=tmp_path / "a")
    assert caught.value.subject and "null" in (caught.value.next_step or "")
    for taken in (None, 16):
        config.write_text(json.dumps(fields | {"sliding_window": taken}))
        assert convert_model(f"random:{config}", output=tmp_path / f"{taken}").manifest


@pytest.mark.parametrize(("positions", "converts"), [(1, False), (4, False), (7, False), (8, True)])
def test_a_model_for_texts_shorter_than_a_trace_is_refused(
    positions: int, converts: bool, convert_model: Convert, settings: Settings, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    fields = resolve("random:llama-tiny", settings).config.to_dict()
    config.write_text(json.dumps(fields | {"max_position_embeddings": positions}))
    if converts:
        assert convert_model(f"random:{config}").manifest.context_length == positions
        return
    with pytest.raises(UnsupportedModel, match=f"texts of {positions} tokens") as caught:
        convert_model(f"random:{config}")
    assert "max_position_embeddings" in (caught.value.next_step or "")


def test_force_never_wipes_a_folder_that_is_not_an_artifact(convert_model: Convert, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("important")
    with pytest.raises(ArtifactExists, match="not an artifact"):
        convert_model("random:llama-tiny", output=tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "important"


def test_a_changed_byte_is_found(convert_model: Convert) -> None:
    artifact = convert_model("random:llama-tiny")
    data = artifact.path / "model.onnx.data"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx\.data"):
        Artifact.load(artifact.path).verify()


def test_second_conversion_uses_the_cached_capture_and_gives_the_same_files(
    tmp_path: Path, convert_model: Convert
) -> None:
    first = convert_model("random:qwen2-tiny", "8da4w", output=tmp_path / "1")
    second = convert_model("random:qwen2-tiny", "8da4w", output=tmp_path / "2")
    assert second.manifest.conversion.capture_cached
    assert first.manifest.sha256 == second.manifest.sha256


def test_a_damaged_capture_cache_is_made_again(tmp_path: Path) -> None:
    from toolkit.export.convert import convert

    settings = Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
    source = resolve("random:gpt2-tiny", settings)
    convert(source, request(source), tmp_path / "1", settings)
    [cached] = (settings.cache_dir / "captures").iterdir()
    cached.write_text(cached.read_text()[:1000])
    again = convert(source, request(source), tmp_path / "2", settings)
    assert not again.manifest.conversion.capture_cached


def run_cli(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SLM_CACHE_DIR": str(home / "cache"), "SLM_DATA_DIR": str(home / "data")}
    command = [sys.executable, "-m", "toolkit.cli.main", "convert", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def test_cli_shows_one_message_and_an_exit_code(tmp_path: Path) -> None:
    result = run_cli("random:llama-tiny", "-o", str(tmp_path / "a"), "--quant", "4da8w", home=tmp_path)
    assert result.returncode == UnknownScheme.exit_code
    assert "Did you mean '8da4w'?" in result.stderr or "Did you mean '8da8w'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "a").exists()


def test_cli_refuses_a_group_size_that_does_not_divide(tmp_path: Path) -> None:
    result = run_cli("random:llama-tiny", "-o", str(tmp_path / "a"), "--group-size", "256", home=tmp_path)
    assert result.returncode == 4
    assert "256" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("stage", "flags"),
    [
        (r"capture \.\.\.", []),
        (r"quantize and write \.\.\.", []),
        (r"quantize: (?!1 of)", []),
        # In a process of its own.
        (r"quantize: (?!1 of)", ["--trust-remote-code"]),
    ],
)
def test_ctrl_c_leaves_nothing(tmp_path: Path, stage: str, flags: list[str]) -> None:
    environment = {**os.environ, "SLM_CACHE_DIR": str(tmp_path / "c"), "SLM_DATA_DIR": str(tmp_path / "d")}
    output = tmp_path / "out" / "a"
    # Few layers are captured fast; wide ones take seconds to quantize.
    config = LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=4, num_attention_heads=16, vocab_size=512,
        tie_word_embeddings=True,
    )  # fmt: skip
    (tmp_path / "wide.json").write_text(json.dumps(config.to_dict()))
    command = [
        sys.executable,
        "-m",
        "toolkit.cli.main",
        "convert",
        f"random:{tmp_path / 'wide.json'}",
        "-o",
        str(output),
        *flags,
    ]
    # A terminal tells all processes that it has started.
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.match(stage, line):
                break
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not output.exists()
    assert not output.parent.exists() or list(output.parent.iterdir()) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize("backend", ["onnxruntime", "executorch"])
def test_the_group_sizes_that_are_advised_are_accepted(
    backend: str, settings: Settings, tmp_path: Path, convert_model: Convert
) -> None:
    source = odd_widths(settings, tmp_path)
    with pytest.raises(BadGroupSize) as caught:
        convert_model(source, "8da4w", backend=backend, group_size=64)
    error = caught.value
    assert error.subject and error.next_step
    advised = [int(size) for size in re.findall(r"\b\d+\b", error.next_step.partition("(")[0])]
    assert advised
    for size in advised:
        convert_model(source, "8da4w", backend=backend, group_size=size, output=tmp_path / f"g{size}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize("backend", ["onnxruntime", "executorch"])
@pytest.mark.parametrize("quant", ["mobile-4bit", "mobile-8bit", "8da4w"])
def test_widths_that_no_group_divides_convert_when_no_size_was_asked_for(
    quant: str,
    backend: str,
    settings: Settings,
    tmp_path: Path,
    convert_model: Convert,
    capsys: pytest.CaptureFixture[str],
) -> None:
    artifact = convert_model(odd_widths(settings, tmp_path), quant, backend=backend)
    parity = artifact.manifest.parity
    assert parity is not None and parity.passed
    if not (quant == "mobile-8bit" and backend == "executorch"):
        assert "groups of 32 do not divide" in capsys.readouterr().err


def odd_widths(settings: Settings, folder: Path) -> ModelSource:
    """Hidden size 80, feed-forward 200: only 16 divides the one, and no group the other."""
    config = folder / "odd.json"
    fields = resolve("random:llama-tiny", settings).config.to_dict()
    sizes = {"hidden_size": 80, "intermediate_size": 200, "num_attention_heads": 5, "num_key_value_heads": 5}
    config.write_text(json.dumps(fields | sizes))
    return resolve(f"random:{config}", settings)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("matrix_type", ["Q4_0", "Q4_1", "Q8_0"])
def test_a_files_own_blocks_are_kept_whatever_holds_the_vocabulary(
    matrix_type: str, tied: bool, settings: Settings, tmp_path: Path, convert_model: Convert
) -> None:
    model = resolve("random:llama-tiny" if tied else "random:mistral-tiny", settings)
    file = tmp_path / "m.gguf"
    no_vocabulary = {"tokenizer.ggml.tokens": None, "tokenizer.ggml.model": None}
    write_model(file, model, "llama", matrix_type=matrix_type, metadata=no_vocabulary)
    parity = convert_model(str(file), "source").manifest.parity
    assert parity is not None and parity.mean_kl < 0.02


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize(
    ("quant", "options", "warned"),
    [
        ("8w", {}, True),
        ("8da8w", {}, False),
        ("8w", {"backend": "executorch"}, False),
        ("8da4w", {"lm_head": "8w"}, True),
    ],
)
def test_a_scheme_slower_than_fp32_is_warned_about(
    quant: str,
    options: dict[str, str],
    warned: bool,
    convert_model: Convert,
    capsys: pytest.CaptureFixture[str],
) -> None:
    convert_model("random:llama-tiny", quant, **options)
    assert ("slowly than fp32" in capsys.readouterr().err) == warned


@pytest.mark.parametrize("model", ["random:llama-tiny", "random:mistral-tiny"], ids=["tied", "untied"])
@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ({"quant": "8w"}, {"quant": "8da8w"}),
        ({"quant": "8w", "lm_head": "8da8w"}, {"quant": "8da8w"}),
        ({"quant": "8da4w", "lm_head": "8w"}, {"lm_head": "8da8w"}),
        ({"quant": "mobile-4bit", "lm_head": "8w"}, {"lm_head": "8da8w"}),
        ({"quant": "4w", "eight_bit": "down"}, {"quant": "8da4w"}),
        ({"quant": "4w", "eight_bit": "down", "lm_head": "8w"}, {"quant": "8da4w", "lm_head": "8da8w"}),
        ({"quant": "8da4w", "eight_bit": "down", "lm_head": "8da8w"}, {}),
    ],
)
def test_the_option_that_changes_the_slow_matrix_is_named(
    given: dict[str, str], instead: dict[str, str], model: str, settings: Settings
) -> None:
    source, engine = resolve(model, settings), ENGINES.get("onnxruntime")
    warning = slowness(plan_for(request(source, **given), source.config), engine)
    if not instead:
        assert warning is None
        return
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in instead.items())
    assert warning is not None and warning.startswith("8w decodes") and f": {options} is as" in warning
    assert slowness(plan_for(request(source, **given | instead), source.config), engine) is None


def test_an_8_bit_embedding_that_is_the_head_too_is_warned_about(settings: Settings) -> None:
    source, engine = resolve("random:llama-tiny", settings), ENGINES.get("onnxruntime")
    wanted = request(source, "4w", embedding="8w")
    assert "--lm-head 8da8w" in (slowness(plan_for(wanted, source.config), engine) or "")
    wanted = request(source, "4w", embedding="8w", lm_head="8da8w")
    assert slowness(plan_for(wanted, source.config), engine) is None


def test_the_default_is_the_preset_that_keeps_quality_and_ends_with_a_verdict(tmp_path: Path) -> None:
    result = run_cli("random:llama-tiny", "-o", str(tmp_path / "a"), home=tmp_path)
    assert result.returncode == 0, result.stderr
    assert Artifact.load(tmp_path / "a").manifest.quantization.preset == "mobile-4bit"
    assert re.search(r"^verdict: (good|usable|damaged) - .*; random weights", result.stderr, re.MULTILINE)
    unchecked = run_cli("random:llama-tiny", "-o", str(tmp_path / "b"), "--no-parity-check", home=tmp_path)
    assert "verdict: none: not compared" in unchecked.stderr
    assert "check parity" not in unchecked.stderr
