"""A conversion's bytes follow from the model and the request, never from what was converted before."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conversions import Convert, request
from model_folders import edit_config, write_folder
from transformers import PretrainedConfig, PreTrainedModel
from transformers_reference import MODEL_TYPES

from toolkit.api.conversion_apart import convert_apart
from toolkit.artifact import Artifact
from toolkit.capture.cached import cached_capture
from toolkit.capture.skeleton import build_skeleton
from toolkit.engines.onnxruntime.session import OnnxDecoder
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.inference import transformers_decoder
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

ORIGINAL, LONGEST = 64, 256
HALF = 8
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0 + 0.1 * index for index in range(HALF)],
    "long_factor": [2.0 + index for index in range(HALF)],
    "original_max_position_embeddings": ORIGINAL,
}
SCALINGS: dict[str, dict[str, Any]] = {
    "longrope": LONGROPE,
    "dynamic": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "yarn": {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": ORIGINAL,
    },
}


def scaled(folder: Path, settings: Settings, scaling: dict[str, Any]) -> ModelSource:
    longrope = scaling["rope_type"] == "longrope"
    write_folder(folder, settings, "phi3-tiny" if longrope else "llama-tiny")
    fields: dict[str, Any] = {"max_position_embeddings": LONGEST, "rope_parameters": scaling}
    if longrope:
        fields |= {"original_max_position_embeddings": ORIGINAL, "sliding_window": None}
        fields["rope_parameters"] = scaling | {"partial_rotary_factor": 1.0}
    edit_config(folder, **fields)
    return resolve(str(folder), settings)


def twice(source: ModelSource, tmp_path: Path, **options: Any) -> tuple[Artifact, Artifact]:
    """From an empty cache, and from the one that the first conversion has filled."""
    settings = Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
    first = convert(source, request(source, **options), tmp_path / "1", settings)
    second = convert(source, request(source, **options), tmp_path / "2", settings)
    assert not first.manifest.conversion.capture_cached
    assert second.manifest.conversion.capture_cached
    return first, second


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ExecuTorch, while it is imported
@pytest.mark.parametrize("backend", ["onnxruntime", "executorch"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_empty_and_full_caches_give_the_same_bytes(
    model_type: str, backend: str, settings: Settings, tmp_path: Path
) -> None:
    source = resolve(f"random:{model_type}-tiny", settings)
    first, second = twice(source, tmp_path, backend=backend, context=64)
    assert first.manifest.files == second.manifest.files


@pytest.mark.parametrize("name", SCALINGS)
def test_scaled_positions_do_not_depend_on_the_cache_and_are_transformers_own(
    name: str, settings: Settings, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    source = scaled(tmp_path / "m", settings, SCALINGS[name])
    first, second = twice(source, tmp_path, context=LONGEST, logits="all")
    assert first.manifest.files == second.manifest.files
    # Longer than the original context, so that the long factors matter.
    ids = torch.randint(3, 500, (1, ORIGINAL + 40), generator=torch.Generator().manual_seed(1))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    with torch.no_grad():
        expected = model(ids, use_cache=False).logits[0]
    decoder = OnnxDecoder(second.path / "model.onnx", ids.shape[1])
    torch.testing.assert_close(decoder.step(ids[0].tolist()), expected, atol=1e-3, rtol=0)


def test_the_judge_looks_where_long_factors_matter(settings: Settings, tmp_path: Path) -> None:
    from toolkit.errors import ParityFailed

    source = scaled(tmp_path / "m", settings, LONGROPE)
    broken = source.config.__class__.from_dict(source.config.to_dict())
    broken.rope_parameters["long_factor"] = broken.rope_parameters["short_factor"]
    home = Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
    wrong = replace(source, config=broken)
    with pytest.raises(ParityFailed):
        convert(wrong, request(wrong, context=LONGEST), tmp_path / "a", home)
    convert(wrong, request(wrong, context=ORIGINAL), tmp_path / "b", home)


def test_a_capture_is_made_again_when_the_code_changes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.capture import cached as module

    config = resolve("random:llama-tiny", settings).config
    skeleton = build_skeleton(config)
    assert not cached_capture(skeleton, config, tmp_path)[1]
    assert cached_capture(skeleton, config, tmp_path)[1]
    changed = tmp_path / "code"
    changed.mkdir()
    for file in Path(module.__file__).parent.glob("*.py"):
        (changed / file.name).write_text(file.read_text() + "\n# changed\n")
    monkeypatch.setattr(module, "__file__", str(changed / "cached.py"))
    assert not cached_capture(skeleton, config, tmp_path)[1]


MODELING = """
from transformers import LlamaForCausalLM
from .configuration_own import OwnConfig
from .ops import scaled

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig

    def forward(self, input_ids=None, **given):
        output = super().forward(input_ids=input_ids, **given)
        output.logits = scaled(output.logits) * FACTOR
        return output
"""
OPS = """
def scaled(logits):
    return logits * FACTOR
"""


def test_a_folders_own_code_is_part_of_the_captures_key(settings: Settings, tmp_path: Path) -> None:
    """The module's own file, and a helper that holds functions alone; each conversion loads them anew."""
    folder = tmp_path / "own"
    write_folder(folder, settings)
    own = {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForCausalLM": "modeling_own.OwnForCausalLM",
    }
    edit_config(folder, model_type="own_llama", architectures=["OwnForCausalLM"], auto_map=own)
    (folder / "configuration_own.py").write_text(
        "from transformers import LlamaConfig\n\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own_llama'\n"
    )
    wanted = ConvertRequest(model=str(folder), quant="fp32", trust_remote_code=True)
    logits = []
    for index, factors in enumerate([(1.0, 1.0), (2.0, 1.0), (2.0, 3.0)]):
        for name, code, factor in zip(("modeling_own.py", "ops.py"), (MODELING, OPS), factors, strict=True):
            (folder / name).write_text(code.replace("FACTOR", str(factor)))
        artifact = convert_apart(wanted, tmp_path / f"{index}", settings, overwrite=False)
        logits.append(OnnxDecoder(artifact.path / "model.onnx", 8).step([5, 6, 7]))
    torch.testing.assert_close(logits[1], 2 * logits[0])
    torch.testing.assert_close(logits[2], 6 * logits[0])


@pytest.mark.parametrize("quant", ["8da4w", "mobile-4bit"])
def test_quantized_bytes_are_the_same_as_well(quant: str, convert_model: Convert, tmp_path: Path) -> None:
    first = convert_model("random:qwen3-tiny", quant, output=tmp_path / "1")
    second = convert_model("random:qwen3-tiny", quant, output=tmp_path / "2")
    assert first.manifest.files == second.manifest.files


def test_the_skeleton_is_built_once_per_conversion(
    convert_model: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def counted(config: PretrainedConfig) -> PreTrainedModel:
        built.append(config.model_type)
        return build_skeleton(config)

    for module in (sys.modules[convert.__module__], transformers_decoder):
        monkeypatch.setattr(module, "build_skeleton", counted)
    convert_model("random:llama-tiny", "8da4w")
    assert built == ["llama"]
