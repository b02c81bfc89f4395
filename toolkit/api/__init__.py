"""The Python API: what the commands do, for programs and notebooks; the commands walk the same path."""

from __future__ import annotations

from toolkit.api.conversion import convert
from toolkit.api.evaluation import evaluate_needle, evaluate_tasks, evaluate_text, fetch_tasks
from toolkit.api.generation import generate, generate_each
from toolkit.api.measuring import open_store, profile, profile_on_each
from toolkit.api.requirements import check_measurable, check_requirements

__all__ = [
    "check_measurable",
    "check_requirements",
    "convert",
    "evaluate_needle",
    "evaluate_tasks",
    "evaluate_text",
    "fetch_tasks",
    "generate",
    "generate_each",
    "open_store",
    "profile",
    "profile_on_each",
]
