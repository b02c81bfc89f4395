"""A decoder on this host, through transformers or an engine, behind one interface: tokens in, logits out."""
