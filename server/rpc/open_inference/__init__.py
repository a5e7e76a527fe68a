"""The Open Inference Protocol (version 2, as KServe and Triton speak it) on top of the same predictor."""

from server.rpc.open_inference.servicer import OpenInferenceServicer

__all__ = ["OpenInferenceServicer"]
