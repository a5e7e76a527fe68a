"""From images to probabilities: the engine, batches of those who wait, and the loaded versions."""

from server.inference.batcher import BatchResult, MicroBatcher, joined
from server.inference.engine import Engine, Images
from server.inference.engines import Artifacts, Engines, LoadedModel, Submitted

__all__ = [
    "Artifacts",
    "BatchResult",
    "Engine",
    "Engines",
    "Images",
    "LoadedModel",
    "MicroBatcher",
    "Submitted",
    "joined",
]
