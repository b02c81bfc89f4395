"""Task scores through EleutherAI's lm-evaluation-harness."""
