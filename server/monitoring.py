"""What Prometheus is told, on a port of its own: how calls go, what waits, what serves, what trains.

The serving path only adds to `server.counters`; everything is put together when somebody asks. The port is
guarded as the other one is: by the same certificate, and by the same tokens.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from server.application import Application
from server.config import Config, InvalidSetting
from server.counters import CallCounters, Distribution, Histogram
from server.credentials import Tls, Tokens
from server.errors import ModelNotFound
from server.failures import refusal_of
from server.models import ModelStore
from server.replica import Replica
from server.samples import SampleFilter, SampleUse
from server.training import TrainingState

log = logging.getLogger(__name__)

# A scraper that says nothing, or takes nothing, is let go.
PATIENCE_S = 10.0
# Scrapers come for a moment, one or two at a time. When so many connections are open, the oldest is cut for a
# new one: whoever keeps them open to no purpose neither fills the memory nor keeps anybody out.
MAX_CONNECTIONS = 16
CALL_LABELS = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"]


class ServerCollector(Collector):
    """Puts the numbers of a server together, each time anew."""

    def __init__(
        self, application: Application | Replica, calls: CallCounters, waiting: Callable[[], int]
    ) -> None:
        """`waiting` counts the calls that have come and are not answered."""
        self._application = application
        self._calls = calls
        self._waiting = waiting

    def collect(self) -> Iterable[Metric]:
        """Every number of the server; the process tells its own."""
        yield from self._of_calls()
        yield from self._of_predictions()
        yield from self._of_disk()
        if isinstance(self._application, Application):
            yield from self._of_database(self._application)

    def _of_calls(self) -> Iterable[Metric]:
        started = CounterMetricFamily(
            "grpc_server_started", "Calls that a handler has taken up.", labels=CALL_LABELS[:3]
        )
        for (kind, path), count in sorted(self._calls.started().items()):
            _, service, method = path.split("/")
            started.add_metric([kind, service, method], count)
        yield started
        handled = CounterMetricFamily("grpc_server_handled", "Calls that have ended.", labels=CALL_LABELS)
        handling = HistogramMetricFamily(
            "grpc_server_handling_seconds",
            "From a call's request to its end, in seconds.",
            labels=CALL_LABELS,
        )
        for (kind, path, code), distribution in sorted(self._calls.read().items()):
            _, service, method = path.split("/")
            labels = [kind, service, method, code]
            handled.add_metric(labels, sum(distribution.counts))
            handling.add_metric(labels, _buckets(CallCounters.bounds, distribution), distribution.total)
        yield handled
        yield handling
        yield GaugeMetricFamily("digits_calls_waiting", "Calls that are not answered yet.", self._waiting())

    def _of_predictions(self) -> Iterable[Metric]:
        engines = self._application.engines
        yield GaugeMetricFamily("digits_queue_depth", "Images that wait for the engine.", engines.queued_rows)
        yield _histogram("digits_batch_size", "Images computed together.", engines.counters.batch_size)
        yield _histogram(
            "digits_engine_seconds", "In the engine, a batch, in seconds.", engines.counters.seconds
        )
        deployed = GaugeMetricFamily("digits_model_version", "The deployed version; 0: none.")
        deployed.add_metric([], self._application.deployed or 0)
        yield deployed

    def _of_disk(self) -> Iterable[Metric]:
        store = self._application.store
        damaged = sum(_is_damaged(store, number) for number in store.numbers())
        yield GaugeMetricFamily(
            "digits_damaged_versions", "Versions whose files are not what was saved.", damaged
        )
        # A replica may be there before the folder.
        if (free := store.free_bytes()) is not None:
            yield GaugeMetricFamily(
                "digits_disk_free_bytes", "Room left on the disk of the data folder, in bytes.", free
            )

    def _of_database(self, application: Application) -> Iterable[Metric]:
        """What rows tell; nothing while they cannot be read: the other numbers matter most then."""
        try:
            return [*self._of_trainings(application), *self._of_samples(application)]
        except Exception as error:
            if refusal_of(error) is None:
                raise
            return []

    def _of_trainings(self, application: Application) -> Iterable[Metric]:
        runs = GaugeMetricFamily("digits_trainings", "Training runs by state.", labels=["state"])
        counts = application.trainings.counts()
        for state in TrainingState:
            runs.add_metric([state.value], counts.get(state, 0))
        yield runs

    def _of_samples(self, application: Application) -> Iterable[Metric]:
        samples = GaugeMetricFamily(
            "digits_samples", "Drawings kept, by what they are used for.", labels=["use"]
        )
        for use in SampleUse:
            samples.add_metric([use.value], application.samples.list(SampleFilter(use=use), 0, 1)[1])
        yield samples


class MetricsServer:
    """Answers `GET /metrics` on threads of its own until `close`."""

    def __init__(self, config: Config, collector: Collector) -> None:
        """Listen on the server's host, at `metrics_port`. Raises InvalidSetting when that is not free."""
        port = config.metrics_port or 0
        registry = CollectorRegistry()
        registry.register(collector)
        for one in (ProcessCollector, PlatformCollector, GCCollector):
            one(registry=registry)

        class Bound(_Handler):
            metrics = registry
            tokens = config.tokens
            tls = None if config.tls is None else _context(config.tls)

        self._handler = Bound
        try:
            self._server = _Server((config.host, port), Bound)
        except OSError as error:
            raise InvalidSetting(
                f"DIGITS_METRICS_PORT: cannot listen on {config.host}:{port} ({error.strerror}); "
                "choose a free port"
            ) from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def renew(self, tls: Tls) -> None:
        """Show another certificate from the next connection on."""
        try:
            self._handler.tls = _context(tls)
        except OSError as error:  # Replaced once more at this very moment: that is told soon.
            log.warning("certificate of the metrics not renewed", extra={"reason": str(error)})

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._handler = handler
        # The oldest first.
        self._open: dict[socket.socket, None] = {}
        self._opening = threading.Lock()
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Its handshake comes on its own thread: one that is not gone on with holds up
        nobody.
        """
        connection, address = super().get_request()
        if self._handler.tls is not None:
            connection = self._handler.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._opening:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > MAX_CONNECTIONS else None
            if oldest is not None:
                del self._open[oldest]
                # Its thread sees an end, and closes it. It may just have done so.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(oldest, socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._opening:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A port scan, a broken handshake: nothing that anybody here could mend.
        log.debug("metrics request broken off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE_S
    metrics: CollectorRegistry
    tokens: Tokens | None
    tls: ssl.SSLContext | None

    # What else it says of itself is nobody's business.
    server_version, sys_version = "digits", ""

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(PATIENCE_S)
            self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        """Send the metrics, in the form that the scraper asks for."""
        if self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"the metrics are at /metrics\n")
        elif self.tokens is not None and not self._is_known(self.tokens):
            self._answer(HTTPStatus.UNAUTHORIZED, b"expected `Authorization: Bearer <token>`\n")
        else:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, encode(self.metrics), content_type)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: somebody asks every few seconds."""

    def _is_known(self, tokens: Tokens) -> bool:
        shown = self.headers.get_all("Authorization") or []
        scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        return scheme.lower() == "bearer" and tokens.role(token.strip(" ")) is not None

    def _answer(
        self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _is_damaged(store: ModelStore, number: int) -> bool:
    with contextlib.suppress(ModelNotFound):  # Deleted a moment ago.
        return store.damage(number) is not None
    return False


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _histogram(name: str, help: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, help)
    distribution = histogram.read()
    family.add_metric([], _buckets(histogram.bounds, distribution), distribution.total)
    return family


def _buckets(bounds: tuple[float, ...], distribution: Distribution) -> list[tuple[str, float]]:
    """Prometheus counts upwards: each bucket holds those before it as well."""
    counted, buckets = 0, []
    for bound, count in zip((*bounds, float("inf")), distribution.counts, strict=True):
        counted += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(counted)))
    return buckets
