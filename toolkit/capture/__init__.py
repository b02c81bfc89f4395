"""A transformers decoder becomes a graph of plain operations, once for all engines and quantizations."""
