"""Read parameters from a GGUF file one by one, as float32 or as the blocks that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import SourceCorrupt, SourceError
from toolkit.sources.gguf.blocks import BLOCK_TYPES, unpack_blocks
from toolkit.sources.gguf.header import GgufHeader, TensorEntry
from toolkit.sources.gguf.tensors import Change, TensorNames

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from toolkit.compress.tensor import QuantizedTensor


class GgufWeights:
    """A WeightReader over a GGUF file or its parts.

    Args:
        header: the parsed header.
        tensor_names: names and changes of the file's architecture.
        parameters: the ``state_dict()`` entries that the model has.
        query_heads: heads whose query rows the converter interleaved.
        key_heads: heads whose key rows the converter interleaved.
    """

    def __init__(
        self,
        header: GgufHeader,
        tensor_names: TensorNames,
        parameters: list[str],
        *,
        query_heads: int,
        key_heads: int,
    ) -> None:
        self._header = header
        self._heads = {
            Change.INTERLEAVED_QUERY_ROWS: query_heads,
            Change.INTERLEAVED_KEY_ROWS: key_heads,
            # As many keys as queries.
            Change.JOINED_BY_KIND: query_heads,
        }
        self._located: dict[str, tuple[tuple[TensorEntry, ...], Change]] = {}
        for name in parameters:
            stored, change = tensor_names.locate(name) or ((), Change.NONE)
            entries = tuple(header.tensors[one] for one in stored if one in header.tensors)
            if entries and len(entries) == len(stored):
                self._located[name] = entries, change

    def names(self) -> list[str]:
        """Parameters that the file holds, in the model's order."""
        return list(self._located)

    def stored_names(self) -> list[str]:
        """The file's names of the same."""
        return [entry.name for entries, _ in self._located.values() for entry in entries]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape in the ``state_dict()``'s layout."""
        (entry, *others), change = self._located[name]
        if change is Change.TRANSPOSED:
            return entry.shape[::-1]
        if change is Change.ONE_INPUT_LEFT_OUT:
            return entry.shape[0], 1, *entry.shape[1:]
        if change is Change.ONE_ROW:
            return 1, entry.shape[-1]
        if not others:
            return entry.shape
        return entry.shape[0], sum(one.shape[1] for one in (entry, *others)), *entry.shape[2:]

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32; every block type of ggml is dequantized.

        Raises:
            SourceCorrupt: the file was cut since its header was read.
            SourceError: the block type cannot be dequantized.
        """
        import torch

        entries, change = self._located[name]
        parts = [torch.from_numpy(self._dequantize(entry)) for entry in entries]
        # Of experts, rows of gates and rows behind them.
        values = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if change in self._heads:
            return values[self._row_order(entries[0], change)]
        if change is Change.PLUS_ONE:
            return values - 1
        if change is Change.TRANSPOSED:
            return values.T.contiguous()
        return values.reshape(self.shape(name))

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """The stored integers, scales and offsets of a Q4_0, Q4_1 or Q8_0 matrix, else None."""
        (entry, *_), change = self._located[name]
        is_matrix = len(entry.shape) == len(self.shape(name)) == 2
        if entry.type_name not in BLOCK_TYPES or not is_matrix or change is Change.PLUS_ONE:
            return None
        raw = self._raw(entry)
        if change in self._heads:
            raw = raw[self._row_order(entry, change).numpy()]
        return unpack_blocks(raw, entry.type_name)

    def _row_order(self, entry: TensorEntry, change: Change) -> torch.Tensor:
        """Index that puts the rows of each head back.

        Interleaved: even rows are its first half, odd its second. Joined by kind: query, key and value of
        each head lie a third of the rows apart.
        """
        import torch

        rows, heads = entry.shape[0], self._heads[change]
        if change is Change.JOINED_BY_KIND:
            return torch.arange(rows).view(3, heads, rows // heads // 3).transpose(0, 1).reshape(rows)
        return torch.arange(rows).view(heads, rows // heads // 2, 2).transpose(1, 2).reshape(rows)

    def _raw(self, entry: TensorEntry) -> NDArray[np.uint8]:
        """The tensor's bytes, uint8 [rows, bytes per row]."""
        import numpy as np

        # Read, not mapped: touching a mapping of a file that shrank meanwhile kills the process.
        raw = np.fromfile(entry.path, np.uint8, entry.size_bytes, offset=entry.offset_bytes)
        if raw.size != entry.size_bytes:
            raise SourceCorrupt(
                f"tensor {entry.name} ended after {raw.size} of {entry.size_bytes} bytes",
                subject=str(entry.path),
                next_step="The file changed while it was read; get it again.",
            )
        return raw.reshape(*entry.shape[:-1], -1)

    def _dequantize(self, entry: TensorEntry) -> NDArray[np.float32]:
        import numpy as np
        from gguf.constants import GGMLQuantizationType
        from gguf.quants import dequantize

        try:
            values = dequantize(self._raw(entry), GGMLQuantizationType[entry.type_name])
        except NotImplementedError:
            raise SourceError(
                f"tensor {entry.name} is stored as {entry.type_name}, which cannot be dequantized",
                subject=str(self._header.path),
                next_step="Use a file in another quantization, e.g. Q4_0, Q4_K_M or Q8_0.",
            ) from None
        return np.ascontiguousarray(values, dtype=np.float32).reshape(entry.shape)
