"""Profiling: protocol, gate, push-run-pull session."""
