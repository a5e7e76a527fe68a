"""People's own labelled drawings: kept, told apart from test digits, trained on and measured with."""

from server.samples.accuracy import HonestReadings, SampleAccuracy
from server.samples.sample import NewSample, Sample, SampleFilter, SampleSource, SampleUse
from server.samples.samples import Samples
from server.samples.sets import SampleSet

__all__ = [
    "HonestReadings",
    "NewSample",
    "Sample",
    "SampleAccuracy",
    "SampleFilter",
    "SampleSet",
    "SampleSource",
    "SampleUse",
    "Samples",
]
