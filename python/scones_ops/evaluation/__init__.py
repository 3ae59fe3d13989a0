"""Evaluation: the test pictures through the deployed state machine, and what the answers are worth."""

from scones_ops.evaluation.run import evaluate
from scones_ops.evaluation.store import Evaluation, Record, evaluation_dir, read_evaluation
from scones_ops.evaluation.text import require_complete, summary

__all__ = [
    "Evaluation",
    "Record",
    "evaluate",
    "evaluation_dir",
    "read_evaluation",
    "require_complete",
    "summary",
]
