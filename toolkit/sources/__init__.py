"""Where weights come from: hub id, folder, GGUF file, random weights from a config."""
