"""Finds the digits of numbers in ink: lines, cuts, what may be a digit, and the choice among that."""

from server.numbers.agree import Digit, agree
from server.numbers.choose import choose
from server.numbers.judge import Judge
from server.numbers.scanner import Scanner
from server.numbers.search import Line, search

__all__ = ["Digit", "Judge", "Line", "Scanner", "agree", "choose", "search"]
