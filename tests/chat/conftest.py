from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact

# Writes files into the artifact's folder: text by name, None removes one.
WithFiles = Callable[..., Artifact]


@pytest.fixture(scope="session")
def whole_artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts") / "tiny", TinyDecoder(context_length=256))


@pytest.fixture
def artifact_with(whole_artifact: Artifact, tmp_path: Path) -> WithFiles:
    """An artifact's text files, without a model, changed as asked."""

    def change(**files: str | dict[str, object] | None) -> Artifact:
        folder = tmp_path / "artifact"
        folder.mkdir(exist_ok=True)
        names = {
            "template": "chat_template.jinja",
            "config": "tokenizer_config.json",
            "tokenizer": "tokenizer.json",
            "generation": "generation_config.json",
            "tokens_map": "special_tokens_map.json",
        }
        for key, name in names.items():
            original = whole_artifact.path / name
            content = files.get(key, original.read_text() if original.is_file() else None)
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return Artifact(folder, whole_artifact.manifest)

    return change
