"""Measuring versions, and looking at what they get wrong."""

from server.evaluation.digits import TestDigit
from server.evaluation.evaluations import Evaluations
from server.evaluation.misclassified import MisclassifiedDigit, MisclassifiedFilter, Order
from server.evaluation.records import Evaluation, EvaluationState
from server.metrics import ClassMetrics, Metrics, measure

__all__ = [
    "ClassMetrics",
    "Evaluation",
    "EvaluationState",
    "Evaluations",
    "Metrics",
    "MisclassifiedDigit",
    "MisclassifiedFilter",
    "Order",
    "TestDigit",
    "measure",
]
