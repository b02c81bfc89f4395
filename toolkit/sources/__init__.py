"""Where weights come from: hub id, folder, GGUF file, random weights from a config."""

from toolkit.sources.base import ModelSource, TokenizerFiles, WeightReader
from toolkit.sources.resolution import resolve

__all__ = ["ModelSource", "TokenizerFiles", "WeightReader", "resolve"]
