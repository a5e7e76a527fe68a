"""The page of Digit Lab: draw, see the mistakes, train, choose a model. Knows the server by its contract."""
