"""Side files are read as transformers reads them, or refused in words; what is missing is said."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from side_file_folders import CHATML, FOLDERS, also, config, plain, sentencepiece_files
from side_file_mutants import mutate
from side_file_reading import compare, rendered
from tokenizers import Tokenizer

from toolkit.errors import SourceCorrupt, SourceError, UntrustedSource
from toolkit.sources.folder_tokenizer import FolderTokenizer
from toolkit.sources.generation import GenerationTokens, read_tokens, write_generation_config
from toolkit.sources.side_files import read_side_files
from toolkit.sources.token_checks import check_tokens

# Transformers itself refuses these.
REFUSED = {"vocab and merges alone", "tokenizer_config.json alone"}


@pytest.mark.parametrize("name", list(FOLDERS))
def test_a_made_folder_is_read_as_transformers_reads_it(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    FOLDERS[name](folder)
    outcome = compare(folder, tmp_path / "written", refusal_allowed=False)
    assert outcome == {"nothing": "no tokenizer"}.get(name, "refused" if name in REFUSED else "equal")


def test_what_is_written_is_read_back_by_transformers(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for name in ("added_tokens.json", "tokenizer.model and LlamaTokenizer", "add_bos_token", "truncation"):
        folder, written = tmp_path / name, tmp_path / f"{name} written"
        folder.mkdir()
        FOLDERS[name](folder)
        compare(folder, written, refusal_allowed=False)
        text = "The capital <|added|> of France"
        shutil.copy(folder / "config.json", written)
        theirs, back = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(written)
        assert back(text)["input_ids"] == theirs(text)["input_ids"]


def check_mutants(seed: int, count: int, folder_of: Callable[[], Path]) -> None:
    rng = random.Random(seed)
    outcomes: dict[str, int] = {}
    for number in range(count):
        place = folder_of()
        folder = place / "model"
        folder.mkdir(parents=True)
        name = rng.choice(list(FOLDERS))
        FOLDERS[name](folder)
        what = mutate(folder, rng)
        try:
            outcome = compare(folder, place / "written", refusal_allowed=True)
        except BaseException as error:
            error.add_note(f"mutant {number} of seed {seed}: {name!r}, {what}")
            raise
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(place)
    assert outcomes.get("equal", 0) > count // 10 and outcomes.get("refused", 0) > count // 10, outcomes


@pytest.fixture
def folder_of(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    numbers = iter(range(1_000_000))
    yield lambda: tmp_path / str(next(numbers))


def test_mutants_are_read_alike_or_refused(folder_of: Callable[[], Path]) -> None:
    check_mutants(1, 80, folder_of)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_thousand_mutants_are_read_alike_or_refused(folder_of: Callable[[], Path]) -> None:
    check_mutants(2, 2000, folder_of)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    plain(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git-lfs pointer"),
        (b'{"a": ', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": "\\uD83D"}', "half a character"),
    ],
)
@pytest.mark.parametrize(
    "name",
    ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
     "generation_config.json", "chat_template.json", "vocab.json"],
)  # fmt: skip
def test_a_damaged_file_is_named(name: str, content: bytes, said: str, folder: Path) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(SourceCorrupt, match=said) as caught:
        read_side_files(folder)
    assert caught.value.subject == str(folder / name)
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["", " \n"])
@pytest.mark.parametrize("others", [False, True])
def test_a_blank_template_is_none_or_writes_nothing_as_in_transformers(
    text: str, others: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoTokenizer

    (folder / "chat_template.jinja").write_text(text)
    if others:
        (folder / "additional_chat_templates").mkdir()
        (folder / "additional_chat_templates" / "tool.jinja").write_text("{{ messages }}")
    theirs = AutoTokenizer.from_pretrained(folder).chat_template
    theirs = theirs["default"] if others else theirs
    assert theirs == text
    written = write(folder, tmp_path) / "chat_template.jinja"
    assert written.exists() is bool(theirs)
    assert ("has no chat template" in capsys.readouterr().err) is not bool(theirs)


@pytest.mark.parametrize(("name", "said"), [("unigram", True), ("plain", False)])
def test_texts_that_transformers_cleans_up_are_said(
    name: str, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoTokenizer

    model = tmp_path / "model"
    model.mkdir()
    FOLDERS[name](model)
    fields = json.loads((model / "tokenizer_config.json").read_text())
    fields["clean_up_tokenization_spaces"] = True
    (model / "tokenizer_config.json").write_text(json.dumps(fields))
    tokenizer = AutoTokenizer.from_pretrained(model)
    # What transformers does, seen on a text that it would change.
    assert (
        tokenizer.decode(tokenizer.encode("of ."))
        != tokenizer.backend_tokenizer.decode(tokenizer.encode("of ."), skip_special_tokens=False)
    ) is said
    write(model, tmp_path)
    assert ("clean_up_tokenization_spaces" in capsys.readouterr().err) is said


def test_a_text_is_cut_alike_each_time(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tokenizers import Tokenizer

    text = "the capital of France is " * 20
    path = folder / "tokenizer.json"
    plainly = Tokenizer.from_file(str(path)).encode(text).ids
    data = json.loads(path.read_text())
    data["model"]["dropout"] = 0.5
    path.write_text(json.dumps(data))
    training = Tokenizer.from_file(str(path))
    assert len({tuple(training.encode(text).ids) for _ in range(5)}) > 1
    written = Tokenizer.from_file(str(write(folder, tmp_path) / "tokenizer.json"))
    assert all(written.encode(text).ids == plainly for _ in range(5))
    assert "by chance (dropout)" in capsys.readouterr().err


def write(folder: Path, tmp_path: Path, *, trust: bool = False, **tokens: Any) -> Path:
    written = tmp_path / "written"
    written.mkdir(exist_ok=True)
    FolderTokenizer(folder, tokens, trust).write(written)
    return written


def test_a_pointer_in_place_of_a_sentencepiece_model(tmp_path: Path) -> None:
    config(tmp_path)
    (tmp_path / "tokenizer.model").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(SourceCorrupt, match="git-lfs pointer"):
        write(tmp_path, tmp_path)


def test_a_sentencepiece_model_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.sources import folder_tokenizer

    sentencepiece_files(tmp_path)

    def fail(*_: Any, **__: Any) -> None:
        raise ImportError("sentencepiece is missing")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", fail)
    monkeypatch.setattr(folder_tokenizer, "_installed", lambda module: module != "sentencepiece")
    with pytest.raises(SourceError, match="needs sentencepiece") as caught:
        write(tmp_path, tmp_path)
    assert caught.value.next_step == "pip install sentencepiece"


def test_the_template_of_a_processor_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    also(plain, chat_template__json={"chat_template": CHATML})(folder)
    written = write(folder, tmp_path)
    assert rendered((written / "chat_template.jinja").read_text()) == rendered(CHATML)
    # As in transformers, the processor's config comes before that file, and one of the tokenizer's own wins.
    (folder / "processor_config.json").write_text(json.dumps({"chat_template": "of its config"}))
    assert (write(folder, tmp_path) / "chat_template.jinja").read_text() == "of its config"
    plain(folder, chat_template="own")
    assert (write(folder, tmp_path) / "chat_template.jinja").read_text() == "own"


_PYTHON_TOKENIZER = """
from pathlib import Path

from transformers import PythonBackend


class Words(PythonBackend):
    vocab_files_names = {"vocab_file": "words.txt"}

    def __init__(self, vocab_file, **kwargs):
        self.words = {word: id for id, word in enumerate(Path(vocab_file).read_text().split())}
        super().__init__(**kwargs)

    @property
    def vocab_size(self):
        return len(self.words)

    def get_vocab(self):
        return dict(self.words)

    def _tokenize(self, text, **kwargs):
        return text.split()

    def _convert_token_to_id(self, token):
        return self.words.get(token, 0)

    def _convert_id_to_token(self, index):
        return list(self.words)[index]
"""


def test_in_place_of_a_tokenizer_of_python_code_its_tokenizer_json_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Qwen-1 has one: each refusal's next step is taken, until one is accepted."""
    folder = tmp_path / "model"
    folder.mkdir()
    plain(folder, tokenizer_class="Words", auto_map={"AutoTokenizer": ["words.Words", None]})
    (folder / "words.py").write_text(_PYTHON_TOKENIZER)
    (folder / "words.txt").write_text("<unk> <s> </s> <|im_start|> <|im_end|> <pad>")
    beside = folder / "tokenizer.json"
    whole = beside.read_text()
    beside.unlink()
    with pytest.raises(UntrustedSource, match="needs Python code") as untrusted:
        write(folder, tmp_path)
    with pytest.raises(SourceError, match="is Python code") as trusted:
        write(folder, tmp_path, trust=True)
    assert all("Put a tokenizer.json" in str(refused.value.next_step) for refused in (untrusted, trusted))
    beside.write_text(whole)
    for trust in (False, True):
        out = write(folder, tmp_path, trust=trust)
        assert Tokenizer.from_file(str(out / "tokenizer.json")).encode("the capital").ids
        assert "auto_map" not in (out / "tokenizer_config.json").read_text()
        assert "tokenizer.json is taken in its place" in capsys.readouterr().err


def generation(written: Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((written / "generation_config.json").read_text())
    return fields


def test_end_tokens_come_from_the_generation_config_alone(folder: Path, tmp_path: Path) -> None:
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 5}
    assert generation(write(folder, tmp_path, **ids)) == ids
    for text, ends in [
        ("{}", None),
        ('{"eos_token_id": null}', None),
        ('{"eos_token_id": []}', None),
        ('{"eos_token_id": [2, 4, 2], "temperature": 0.6}', [2, 4]),
        ('{"eos_token_id": "<|im_end|>"}', 4),
        ('{"eos_token_id": ["<|im_end|>", 2]}', [4, 2]),
        ('{"eos_token_id": 4.0, "pad_token_id": -1}', 4),
    ]:
        (folder / "generation_config.json").write_text(text)
        assert generation(write(folder, tmp_path, **ids))["eos_token_id"] == ends
    (folder / "generation_config.json").write_text('{"temperature": 0.6}')
    assert generation(write(folder, tmp_path, **ids)) == {"temperature": 0.6, "eos_token_id": None}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"eos_token_id": "<nosuch>"}, "names '<nosuch>', which the tokenizer does not know"),
        ({"eos_token_id": "2"}, "the text '2', not a token id"),
        ({"eos_token_id": True}, "not a token id"),
        ({"eos_token_id": 2.5}, "not a token id"),
        ({"eos_token_id": {"a": 1}}, "not a token id"),
        ({"eos_token_id": [[2]]}, "not a token id"),
        ({"eos_token_id": -3}, "eos_token_id is -3"),
        ({"bos_token_id": [1, 2]}, "bos_token_id holds 2 ids"),
        ({"bos_token_id": float("inf")}, "not a token id"),
    ],
)
def test_what_is_no_token_id_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceCorrupt, match=said):
        read_tokens(fields, lambda text: None, subject="generation_config.json")


def test_tokens_without_an_embedding(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write(folder, tmp_path, bos_token_id=1, eos_token_id=2)
    check_tokens(written, 300, subject="made")
    assert capsys.readouterr().err.count("\n") == 1, "no chat template, nothing else"
    check_tokens(written, 270, subject="made")
    assert "made has no embedding for" in capsys.readouterr().err
    for tokens in (GenerationTokens(1, (2, 300), None), GenerationTokens(300, (2,), None)):
        write_generation_config(written, tokens)
        with pytest.raises(SourceError, match="token_id 300 is beyond the model's 300 tokens"):
            check_tokens(written, 300, subject="made")
    write_generation_config(written, GenerationTokens(1, (), None))
    check_tokens(written, 300, subject="made")
    assert "names no end token" in capsys.readouterr().err


@pytest.mark.parametrize(
    "template",
    [[{"name": 2, "template": "T"}, {"name": "rag", "template": "R"}], [{"name": "default", "template": 3}]],
)
def test_a_chat_template_that_is_no_text_is_refused(template: Any, folder: Path, tmp_path: Path) -> None:
    plain(folder, chat_template=template)
    with pytest.raises(SourceCorrupt, match="the chat template is no text but int"):
        write(folder, tmp_path)


def test_a_first_token_without_an_embedding_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    plain(folder, add_bos_token=True, bos_token="<|added|>", tokenizer_class="GPT2Tokenizer")
    data = json.loads((folder / "tokenizer.json").read_text())
    data["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [500], "tokens": ["</s>"]}},
    }
    written = write(folder, tmp_path, bos_token_id=1, eos_token_id=2)
    (written / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(SourceError, match="begins or ends every text"):
        check_tokens(written, 300, subject="made")


@pytest.mark.parametrize(("name", "key"), [("unigram", "unk_id"), ("WordPiece", "unk_token")])
def test_a_tokenizer_that_fails_on_unknown_characters_is_refused(name: str, key: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    FOLDERS[name](folder)
    data = json.loads((folder / "tokenizer.json").read_text())
    data["model"][key] = None if key == "unk_id" else "[none]"
    (folder / "tokenizer.json").write_text(json.dumps(data))
    outcome = compare(folder, tmp_path / "written", refusal_allowed=True)
    assert outcome == "refused"


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config(tmp_path)
    written = write(tmp_path, tmp_path)
    assert "has no tokenizer" in capsys.readouterr().err
    assert not (written / "tokenizer.json").exists()
