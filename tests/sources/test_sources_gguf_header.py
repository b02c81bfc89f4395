"""Damaged and hostile GGUF files end in a typed error, quickly and without taking memory."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_files import WriteGguf
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from toolkit.errors import SourceCorrupt, SourceError, SourceNotFound
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.gguf.header import read_header


def small_file(path: Path) -> bytes:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 2)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "wörld"])
    writer.add_array("tokenizer.ggml.scores", [0.5, -1.0, 2.0])
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_tensor("token_embd.weight", np.arange(96, dtype=np.float32).reshape(3, 32))
    writer.add_tensor("output_norm.weight", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def header_with(metadata_count: int = 0, tensor_count: int = 0, body: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensor_count, metadata_count) + body


def key_value(key: str, value_type: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", value_type) + value


ARCHITECTURE = key_value("general.architecture", 8, struct.pack("<Q", 5) + b"llama")


def test_reads_what_gguf_wrote(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    small_file(path)
    header = read_header(path)
    reference = gguf.GGUFReader(path)
    assert header.architecture == "llama"
    assert header.metadata["tokenizer.ggml.tokens"] == ["a", "b", "wörld"]
    assert header.metadata["tokenizer.ggml.scores"] == [0.5, -1.0, 2.0]
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    for tensor in reference.tensors:
        entry = header.tensors[tensor.name]
        assert entry.shape == tuple(reversed(tensor.shape.tolist()))
        assert (entry.offset_bytes, entry.size_bytes) == (tensor.data_offset, tensor.n_bytes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"GG", "magic"),
        (b"PK\x03\x04" + bytes(100), "magic"),
        (b"GGUF" + b"\x03", "cut short"),
        (header_with(metadata_count=2**63), "metadata entries"),
        (header_with(tensor_count=2**40, metadata_count=1, body=ARCHITECTURE), "tensors"),
        (header_with(metadata_count=1, body=struct.pack("<Q", 2**50) + bytes(20)), "bytes in a string"),
        (header_with(metadata_count=1, body=key_value("k", 9, struct.pack("<IQ", 8, 2**62))), "items"),
        (header_with(metadata_count=1, body=key_value("k", 9, struct.pack("<IQ", 10, 1 << 20))), "items"),
        (header_with(metadata_count=1, body=key_value("k", 9, struct.pack("<IQ", 9, 1))), "unknown type 9"),
        (header_with(metadata_count=1, body=key_value("k", 77, bytes(8))), "unknown type 77"),
        (header_with(metadata_count=1, body=key_value("k", 8, struct.pack("<Q", 1) + b"\xff")), "UTF-8"),
        (header_with(metadata_count=1, body=key_value("k", 4, bytes(4))), "general.architecture"),
        (header_with(metadata_count=2, body=ARCHITECTURE * 2), "occurs twice"),
    ],
)
def test_impossible_headers_are_corrupt(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(SourceCorrupt, match=message):
        read_header(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def tensor_info(name: str, shape: tuple[int, ...], type_id: int, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return struct.pack("<Q", len(name)) + name.encode() + dimensions + struct.pack("<IQ", type_id, offset)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (tensor_info("t", (2**32, 2**31), 0), "cut short"),
        (tensor_info("t", (32, 2), 0, 2**63), "offset"),
        (tensor_info("t", (33, 2), 2), "shape"),
        (tensor_info("t", (0, 2), 0), "shape"),
        (tensor_info("t", (1,) * 9, 0), "9 dimensions"),
    ],
)
def test_impossible_tensors_are_corrupt(tmp_path: Path, info: bytes, message: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(header_with(1, 1, ARCHITECTURE + info + bytes(64)))
    with pytest.raises(SourceCorrupt, match=message):
        read_header(path)


@pytest.mark.parametrize("alignment", [32, 64])
@pytest.mark.parametrize("second", ["as it lies", 0, "at 4 more", "one place further", "before the first"])
def test_a_tensor_lies_where_the_one_before_it_ends(
    alignment: int, second: int | str, tmp_path: Path
) -> None:
    # llama.cpp (gguf_init_from_reader) reads no file with another offset than the padded sizes so far.
    right = -(-3 * 32 * 4 // alignment) * alignment
    offset = {"as it lies": right, "at 4 more": right + 4, "one place further": right + alignment}.get(
        str(second), 0 if second == 0 else 2**64 - alignment
    )
    infos = tensor_info("a", (32, 3), 0) + tensor_info("b", (32,), 0, offset)
    aligned = key_value("general.alignment", 4, struct.pack("<I", alignment))
    path = tmp_path / "model.gguf"
    path.write_bytes(header_with(2, 2, ARCHITECTURE + aligned + infos + bytes(4096)))
    if offset == right:
        entries = read_header(path).tensors
        assert entries["b"].offset_bytes - entries["a"].offset_bytes == right
        return
    with pytest.raises(SourceCorrupt, match=rf"'b' has the offset {offset}, not {right}") as caught:
        read_header(path)
    assert caught.value.subject == str(path) and caught.value.next_step


# ggml.h: numbers that once were types of llama.cpp's, and one of a fork's (ik_llama.cpp's IQ2_K).
REMOVED = {4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8"}
REMOVED |= {36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8"}


@pytest.mark.parametrize("type_id", [*REMOVED, 137, 9999])
def test_types_that_llama_cpp_lacks_are_named_and_another_is_asked_for(type_id: int, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(header_with(1, 1, ARCHITECTURE + tensor_info("t", (32, 2), type_id) + bytes(256)))
    said = (
        rf"{type_id} \({REMOVED[type_id]}\)" if type_id in REMOVED else f"{type_id}, .*fork's or a newer one"
    )
    with pytest.raises(SourceError, match=said) as caught:
        read_header(path)
    step = caught.value.next_step or ""
    named = next(name for name in ("IQ4_NL", "Q4_0") if name in step)
    assert REMOVED.get(type_id, "Q4_0").startswith(("Q4", named))
    # What is asked for is read.
    path.write_bytes(
        header_with(
            1, 1, ARCHITECTURE + tensor_info("t", (32, 2), gguf.GGMLQuantizationType[named]) + bytes(256)
        )
    )
    assert read_header(path).tensors["t"].type_name == named


@pytest.mark.parametrize(
    ("version", "message"), [(1, "version 1"), (99, "version 99"), (3 << 24, "big-endian")]
)
def test_versions_that_are_not_read_are_named(tmp_path: Path, version: int, message: str) -> None:
    path = tmp_path / "old.gguf"
    path.write_bytes(header_with(version=version))
    with pytest.raises(SourceError, match=message):
        read_header(path)


def test_what_is_no_file_of_its_own_is_said(tmp_path: Path) -> None:
    pointer, folder, link = (tmp_path / f"{name}.gguf" for name in ("pointer", "folder", "link"))
    pointer.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    folder.mkdir()
    link.symlink_to(tmp_path / "nothing")
    for path, said in ((pointer, "git-lfs pointer"), (folder, "is a folder"), (link, "is a link to a file")):
        with pytest.raises(SourceError, match=said) as caught:
            read_header(path)
        assert caught.value.subject == str(path) and caught.value.next_step


def test_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        read_header(tmp_path / "none.gguf")


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damage_is_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "m.gguf"
    content = bytearray(small_file(path))
    end = data.draw(st.integers(0, len(content)), label="cut")
    for _ in range(data.draw(st.integers(0, 4), label="flips")):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content[:end])
    try:
        header = read_header(path)
    except SourceError:
        return
    assert all(t.offset_bytes + t.size_bytes <= end for t in header.tensors.values())


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    content = small_file(path)
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(SourceCorrupt):
            read_header(path)


def test_file_cut_after_opening_is_corrupt(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", matrix_type="Q8_0")
    source = resolve(str(path), settings)
    path.write_bytes(path.read_bytes()[:-2000])
    name = source.weights.names()[-1]
    with pytest.raises(SourceCorrupt, match="ended after"):
        source.weights.read(name)
