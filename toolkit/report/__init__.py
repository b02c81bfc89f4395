"""Reports: one self-contained HTML page, Markdown, or pictures, out of a results store."""

from toolkit.report.batch import BatchStatus, BatchStep
from toolkit.report.build import build_report

__all__ = ["BatchStatus", "BatchStep", "build_report"]
