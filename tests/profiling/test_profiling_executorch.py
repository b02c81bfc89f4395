"""Programs for ExecuTorch, whole and broken, on host and virtual phone through the command line."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from executorch_programs import Damage, convert, cut, newer, with_damage, with_unknown_kernel
from runs import SMALL_FLAGS
from slm_process import SlmProcess

from toolkit.artifact import Artifact
from toolkit.chat.loaded_model import load_model
from toolkit.chat.request import GenerateRequest
from toolkit.devices.discovery import open_device
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import ArtifactCorrupt, RunnerFailed
from toolkit.settings import Settings
from toolkit.store import open_store

pytestmark = [
    pytest.mark.skipif(find_spec("executorch") is None, reason="the extra [executorch] is not installed"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return convert("random:llama-tiny", tmp_path_factory.mktemp("et") / "llama", "--quant", "fp32")


def test_host_and_phone_stand_side_by_side(
    slm: SlmProcess, phone: VirtualPhone, llama: Artifact, artifact: Artifact, settings: Settings
) -> None:
    for path in (llama.path, artifact.path):
        process = slm("profile", path, "-d", phone.serial, "-d", "local", *SMALL_FLAGS)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    listing = slm("results", "list", "--json")
    out, err = listing.communicate(timeout=60)
    assert listing.returncode == 0, err
    with open_store(settings.store_url) as store:
        runs = store.list_runs()
    assert {(entry.run.engine, entry.device.emulated, entry.run.status) for entry in runs} == {
        (engine, emulated, "ok") for engine in ("executorch", "onnxruntime") for emulated in (False, True)
    }
    assert len(json.loads(out)) == 4


def test_a_chat_on_a_phone_goes_on_where_it_was(
    slm: SlmProcess, phone: VirtualPhone, llama: Artifact, settings: Settings, tmp_path: Path
) -> None:
    reference = llama.manifest.greedy_reference
    assert reference is not None
    prompt, expected = list(reference.prompt_ids), list(reference.token_ids)
    with load_model(open_device(phone.serial, settings), llama, settings) as model:
        for count in (4, len(expected)):
            asked = GenerateRequest(max_tokens=count)
            assert model.answer(prompt, asked, on_text=lambda piece: None).token_ids == expected[:count]
    chatty = shutil.copytree(llama.path, tmp_path / "chatty")
    (chatty / "chat_template.jinja").write_text("{% for one in messages %}{{ one['content'] }}{% endfor %}")
    lines = tmp_path / "lines"
    lines.write_text(f"one\ntwo\n/save {tmp_path}/talk.json\n")
    with lines.open() as stdin:
        process = slm("chat", chatty, "-d", phone.serial, "-n", "5", stdin=stdin)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    talk = json.loads((tmp_path / "talk.json").read_text())
    assert [one["role"] for one in talk] == ["user", "assistant"] * 2
    assert " kept)" in err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "is truncated: it has"),
        (newer, "is of format ET13"),
        (with_unknown_kernel, "Missing operator: [5] llama::update_cacha.out"),
    ],
    ids=["cut", "newer", "kernel"],
)
def test_a_bad_program_is_one_error_per_device_and_no_result(
    slm: SlmProcess,
    phone: VirtualPhone,
    llama: Artifact,
    settings: Settings,
    tmp_path: Path,
    damage: Damage,
    message: str,
) -> None:
    bad = with_damage(llama, tmp_path / "bad", damage)
    process = slm("profile", bad.path, "-d", phone.serial, "-d", "local", *SMALL_FLAGS)
    out, err = process.communicate(timeout=300)
    assert process.returncode == RunnerFailed.exit_code, err
    errors = [line for line in err.splitlines() if "error:" in line]
    assert len(errors) == 2, err
    for serial, line in zip((phone.serial, "local"), errors, strict=True):
        assert serial in line and message in line
    assert "Traceback" not in err
    with open_store(settings.store_url) as store:
        runs = [store.get_run(entry.run.id) for entry in store.list_runs()]
    # That it was tried is kept; figures there are none.
    assert [stored.run.status for stored in runs] == ["error", "error"]
    assert all(stored.repetitions == () for stored in runs)
    assert all(stored.run.prefill_tokens_per_second is None for stored in runs)


def test_a_program_that_lost_its_end_on_this_host_goes_nowhere(
    slm: SlmProcess, phone: VirtualPhone, llama: Artifact, settings: Settings, tmp_path: Path
) -> None:
    bad = with_damage(llama, tmp_path / "bad", lambda program: program)
    program = bad.path / bad.manifest.model_file
    program.write_bytes(cut(program.read_bytes()))
    process = slm("profile", bad.path, "-d", phone.serial, *SMALL_FLAGS)
    _, err = process.communicate(timeout=120)
    assert process.returncode == ArtifactCorrupt.exit_code, err
    assert "model.pte has" in err and "the manifest says" in err
    with open_store(settings.store_url) as store:
        assert store.list_runs() == []
