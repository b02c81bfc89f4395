"""Side-by-side runs against peers; `python -m benchmarks --help` and docs/benchmarks.md say how."""
