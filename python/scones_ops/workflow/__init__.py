"""Runs the state machines: one picture, many with some under way at once, or a whole prefix."""

from __future__ import annotations

from scones_ops.workflow.batch import BatchResult, classify_prefix
from scones_ops.workflow.execution import LOW_CONFIDENCE, REJECTIONS, Execution
from scones_ops.workflow.single import classify, classify_many, upload

__all__ = [
    "LOW_CONFIDENCE",
    "REJECTIONS",
    "BatchResult",
    "Execution",
    "classify",
    "classify_many",
    "classify_prefix",
    "upload",
]
