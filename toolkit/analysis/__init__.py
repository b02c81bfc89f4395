"""Judging stored runs: figures, conditions, groups, noise, comparisons and regressions."""
