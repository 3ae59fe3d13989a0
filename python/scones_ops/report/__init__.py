"""The report: the last evaluation as one HTML page, with its charts."""

from scones_ops.report.page import write_report

__all__ = ["write_report"]
