"""How well a decoder does: agreement with the original model, perplexity."""
