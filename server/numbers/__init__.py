"""Finds the digits of numbers in ink: lines, cuts, what may be a digit, and the choice among that."""

from server.numbers.choose import choose
from server.numbers.judge import Judge
from server.numbers.search import Line, search

__all__ = ["Judge", "Line", "choose", "search"]
