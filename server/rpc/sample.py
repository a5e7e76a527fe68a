"""SampleService: keeps people's own labelled drawings, takes them in and hands them out."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from digits.v1 import sample_pb2 as pb
from digits.v1 import sample_pb2_grpc

from server.application import Application
from server.errors import InvalidArchive, InvalidArgument
from server.prediction import EncodedImage
from server.rpc.convert import prediction as convert_prediction
from server.rpc.convert import sample as convert
from server.rpc.convert.common import chosen_version, retry_id
from server.rpc.interceptors import Context
from server.rpc.paging import read_page
from server.samples import SampleAccuracy
from server.samples.accuracy import lower_priority
from server.samples.archive import MAX_ARCHIVE_BYTES
from server.samples.drawn import drawn
from server.samples.imports import import_samples
from server.samples.pack import pack
from server.samples.places import Places

# Archives that are worked on at a time, and versions that are measured.
LONG_WORK_THREADS = 2
# Archives that come, are worked on or wait for that, and as many that go: each lies on the disk meanwhile.
MAX_IMPORTS = MAX_EXPORTS = 8
MAX_CHUNK_BYTES = 2**20
CHUNK_BYTES = 64 * 2**10
READ_BYTES = 16 * CHUNK_BYTES

T = TypeVar("T")
IsWanted = Callable[[], bool]


class SampleServicer(sample_pb2_grpc.SampleServiceServicer):
    """Knows the samples."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._samples = application.samples
        # Threads of their own: minutes of work must not take those of short calls.
        self._long_work = ThreadPoolExecutor(LONG_WORK_THREADS, "archives", initializer=lower_priority)
        self._imports = Places("imports", MAX_IMPORTS)
        self._exports = Places("exports", MAX_EXPORTS)

    async def AddSample(self, request: pb.AddSampleRequest, context: Context) -> pb.AddSampleResponse:
        """Keep a drawing."""
        label, request_id = convert.label(request), retry_id(request.request_id)
        image = convert_prediction.image(request.image, "image")
        version = chosen_version(request.model_version)
        if request_id and (known := await asyncio.to_thread(self._samples.by_request, request_id)):
            return pb.AddSampleResponse(sample=convert.sample(known[0]), total_size=known[1])
        result = await self._application.predictor.predict(image, version=version)
        prediction = result.prediction
        new = await self._application.predictor.in_thread(
            drawn,
            image.data if isinstance(image, EncodedImage) else None,
            prediction.model_input,
            label,
            prediction.digit,
            prediction.confidence,
            result.model_version,
        )
        kept, total = await asyncio.to_thread(self._samples.add, new, request_id)
        return pb.AddSampleResponse(sample=convert.sample(kept), total_size=total)

    async def ListSamples(self, request: pb.ListSamplesRequest, context: Context) -> pb.ListSamplesResponse:
        """Show the samples, newest first."""
        page = read_page(request, default=100, maximum=1000)
        chosen = convert.sample_filter(request.filter)
        shown, total = await asyncio.to_thread(
            self._samples.list, chosen, page.offset, page.limit, request.with_drawings
        )
        # Large drawings make a page end early; the next one begins there.
        ended = replace(page, limit=len(shown)) if shown else page
        return pb.ListSamplesResponse(
            samples=[convert.sample(sample) for sample in shown],
            next_page_token=ended.next_token(total),
            total_size=total,
        )

    async def UpdateSample(
        self, request: pb.UpdateSampleRequest, context: Context
    ) -> pb.UpdateSampleResponse:
        """Say anew which digit a sample is."""
        sample_id, label = convert.sample_id(request), convert.label(request)
        sample = await asyncio.to_thread(self._samples.relabel, sample_id, label)
        return pb.UpdateSampleResponse(sample=convert.sample(sample))

    async def DeleteSample(
        self, request: pb.DeleteSampleRequest, context: Context
    ) -> pb.DeleteSampleResponse:
        """Forget a sample."""
        await asyncio.to_thread(self._samples.delete, convert.sample_id(request))
        return pb.DeleteSampleResponse()

    async def ImportSamples(
        self, request_iterator: AsyncIterator[pb.ImportSamplesRequest], context: Context
    ) -> pb.ImportSamplesResponse:
        """Add the samples of an archive."""
        application = self._application
        with self._imports.one(), tempfile.TemporaryFile(dir=self._samples.folder) as file:
            received = 0
            async for request in request_iterator:
                if len(request.chunk) > MAX_CHUNK_BYTES:
                    raise InvalidArgument(
                        "chunk",
                        f"expected at most {MAX_CHUNK_BYTES} bytes a message, got {len(request.chunk)}",
                    )
                received += len(request.chunk)
                if received > MAX_ARCHIVE_BYTES:
                    raise InvalidArchive(f"expected at most {MAX_ARCHIVE_BYTES >> 20} MiB, got more")
                await asyncio.to_thread(file.write, request.chunk)
            file.flush()
            added, known, total = await self._while_wanted(
                lambda is_wanted: import_samples(
                    self._samples,
                    application.store,
                    file,
                    lambda: application.version(None).version,
                    is_wanted,
                )
            )
        return pb.ImportSamplesResponse(added=added, known=known, total_size=total)

    async def ExportSamples(
        self, request: pb.ExportSamplesRequest, context: Context
    ) -> AsyncIterator[pb.ExportSamplesResponse]:
        """Hand out samples as an archive."""
        chosen = convert.sample_filter(request.filter)
        with self._exports.one():
            file = await self._while_wanted(
                lambda is_wanted: pack(self._samples, self._application.store, chosen, is_wanted)
            )
            with file:
                while data := await asyncio.to_thread(file.read, READ_BYTES):
                    for start in range(0, len(data), CHUNK_BYTES):
                        yield pb.ExportSamplesResponse(chunk=data[start : start + CHUNK_BYTES])

    async def EvaluateSamples(
        self, request: pb.EvaluateSamplesRequest, context: Context
    ) -> pb.EvaluateSamplesResponse:
        """Tell how well versions read the samples."""
        versions = convert.versions(request) or (self._application.version(None).version,)

        def measure(is_wanted: IsWanted) -> Sequence[SampleAccuracy]:
            # One that is not there is refused before any is measured.
            for version in versions:
                self._application.store.get(version)
            return self._samples.accuracies(versions, is_wanted)

        measured = await self._while_wanted(measure)
        return pb.EvaluateSamplesResponse(accuracies=[convert.accuracy(one) for one in measured])

    async def _while_wanted(self, work: Callable[[IsWanted], T]) -> T:
        """Do long work on a thread; it is told to give up when the caller is gone."""
        is_gone = threading.Event()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._long_work, work, lambda: not is_gone.is_set())
        finally:
            is_gone.set()
