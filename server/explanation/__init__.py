"""What a prediction rests on: the parts of the image that carry it, and the training digits most like it."""

from server.explanation.explainer import Explainer, Explanation
from server.explanation.neighbours import Neighbour, Neighbours

__all__ = ["Explainer", "Explanation", "Neighbour", "Neighbours"]
