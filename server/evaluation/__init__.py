"""Measuring versions, and looking at what they get wrong."""

from server.evaluation.comparison import ComparedDigit, Comparison, ComparisonFilter, Outcome, Reading
from server.evaluation.digits import TestDigit
from server.evaluation.evaluations import Evaluations
from server.evaluation.label_errors import LikelyLabelError
from server.evaluation.marks import WithoutMislabelled
from server.evaluation.mcnemar import exact_p_value
from server.evaluation.misclassified import MisclassifiedDigit, MisclassifiedFilter, Order
from server.evaluation.records import Evaluation, EvaluationState
from server.evaluation.review import Review
from server.metrics import ClassMetrics, Metrics, measure

__all__ = [
    "ClassMetrics",
    "ComparedDigit",
    "Comparison",
    "ComparisonFilter",
    "Evaluation",
    "EvaluationState",
    "Evaluations",
    "LikelyLabelError",
    "Metrics",
    "MisclassifiedDigit",
    "MisclassifiedFilter",
    "Order",
    "Outcome",
    "Reading",
    "Review",
    "TestDigit",
    "WithoutMislabelled",
    "exact_p_value",
    "measure",
]
