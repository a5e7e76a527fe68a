"""The model server of Digit Lab: training, evaluation and prediction behind gRPC."""
