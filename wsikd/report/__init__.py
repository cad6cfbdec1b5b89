"""Run folders to one self-contained HTML page."""

from wsikd.report.page import write_report

__all__ = ["write_report"]
