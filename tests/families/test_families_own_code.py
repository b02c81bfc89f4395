"""Models whose own Python code makes them: layers of unequal width, sizes by names that nobody else has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conversions_of_families import ENGINES
from safetensors.torch import save_file

import toolkit
from toolkit.errors import SourceCorrupt, ToolkitError, UnsupportedModel
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.inference.original import check_reader
from toolkit.settings import Settings
from toolkit.sources import resolve

REMOTE = Path(__file__).parent / "remote"
# A joined projection cut by heads, by columns, and a config without hidden_size and num_hidden_layers.
NAMES = ("tinyremote", "tinyremote2", "tinyremote3")


def model_folder(name: str, place: Path, settings: Settings) -> Path:
    """The model's code and config, with random weights."""
    folder = place / name
    shutil.copytree(REMOTE / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    source = resolve(f"random:{folder / 'config.json'}", settings, trust_remote_code=True)
    save_file(
        {each: source.weights.read(each) for each in source.weights.names()}, folder / "model.safetensors"
    )
    source.write_tokenizer(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_the_models_own_code(
    name: str, engine: str, tmp_path: Path, settings: Settings
) -> None:
    source = resolve(str(model_folder(name, tmp_path, settings)), settings, trust_remote_code=True)
    check_reader(source)
    request = ConvertRequest.of(model=source.name, quant="fp32", backend=engine)
    manifest = convert(source, request, tmp_path / "out", settings).manifest
    assert manifest.parity is not None and manifest.parity.max_abs_diff <= 1e-3
    architecture = manifest.architecture
    assert (architecture.hidden_size, len(architecture.layers)) == (128, 2)
    assert [layer.mixers[0].heads for layer in architecture.layers] == [4, 6]


def test_a_models_own_code_does_not_run_in_the_process_that_asks(tmp_path: Path, settings: Settings) -> None:
    folder = model_folder("tinyremote", tmp_path, settings)
    note = tmp_path / "note"
    code = folder / "configuration_tinyremote.py"
    code.write_text(f"import os\nopen({str(note)!r}, 'w').write(str(os.getpid()))\n{code.read_text()}")
    toolkit.convert(
        str(folder),
        tmp_path / "out",
        settings=settings,
        quant="fp32",
        trust_remote_code=True,
        parity_check=False,
    )
    assert note.read_text() not in ("", str(os.getpid()))


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("import os; os._exit(3)", UnsupportedModel, "exit code 3"),
        ("missing.name", SourceCorrupt, "NameError: name 'missing'"),
    ],
)
def test_what_a_models_own_code_ends_is_told(
    code: str, error: type[ToolkitError], told: str, tmp_path: Path, settings: Settings
) -> None:
    folder = model_folder("tinyremote", tmp_path, settings)
    file = folder / "configuration_tinyremote.py"
    file.write_text(f"{code}\n{file.read_text()}")
    with pytest.raises(error, match=told):
        toolkit.convert(str(folder), tmp_path / "out", settings=settings, trust_remote_code=True)
    assert not (tmp_path / "out").exists()
