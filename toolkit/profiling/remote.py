"""Where things lie in the toolkit's folder on a device.

::

    <workdir>/artifacts/<artifact sha256, 16 characters>/...
    <workdir>/bundles/<abi>-<bundle sha256, 16 characters>/...
    <workdir>/runs/<run id>/run.json        the run description, pushed before the start
                           prompt.txt       token ids of the greedy reference's prompt (or of `slm generate`)
                           continuation.txt token ids of its continuation
                           pid              of the runner
                           open-<N>         the host opened the gate for repetition N; holds its readings
                           app              the app of a run in one; arguments, started: how it began
                           streamed         where that app is streamed what it cannot read here
                           app.jsonl        what that app said of itself
                           result.jsonl     written by the runner; result.jsonl.part until it is whole
                           stdout, stderr   of the runner
                           exit             the runner's exit code, once it has ended
"""

from __future__ import annotations

from toolkit.devices.base import Device

_HASH_LENGTH = 16

DESCRIPTION = "run.json"
PROMPT = "prompt.txt"
CONTINUATION = "continuation.txt"
RESULT = "result.jsonl"
APP = "app.jsonl"
STDOUT = "stdout"
STDERR = "stderr"
GATE_TOKEN = "open-"


def artifacts_dir(device: Device) -> str:
    """Folder that holds one folder per artifact."""
    return f"{device.workdir}/artifacts"


def artifact_dir(device: Device, artifact_sha256: str) -> str:
    """Folder of an artifact."""
    return f"{artifacts_dir(device)}/{artifact_folder(artifact_sha256)}"


def artifact_folder(artifact_sha256: str) -> str:
    """What the folder of an artifact is called."""
    return artifact_sha256[:_HASH_LENGTH]


def bundle_dir(device: Device, abi: str, bundle_sha256: str) -> str:
    """Folder of a runner bundle."""
    return f"{device.workdir}/bundles/{abi}-{bundle_sha256[:_HASH_LENGTH]}"


def gate_token(run_dir: str, repetition: int) -> str:
    """The file that opens the gate for a repetition."""
    return f"{run_dir}/{GATE_TOKEN}{repetition}"


def runs_dir(device: Device) -> str:
    """Folder that holds one folder per run."""
    return f"{device.workdir}/runs"


def run_dir(device: Device, run_id: str) -> str:
    """Folder of a run."""
    return f"{runs_dir(device)}/{run_id}"
