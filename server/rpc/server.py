"""The gRPC server: services, health, reflection, and an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from digits.oip import open_inference_pb2, open_inference_pb2_grpc
from digits.v1 import (
    evaluation_pb2,
    evaluation_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    sample_pb2,
    sample_pb2_grpc,
    sweep_pb2,
    sweep_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.admission import Admission
from server.application import Application
from server.config import Config
from server.counters import CallCounters
from server.replica import Replica
from server.rpc.access import Access
from server.rpc.backlog import Backlog
from server.rpc.call_queue import make_server, open_queue
from server.rpc.direct import Asked, DirectCalls, DirectMethod
from server.rpc.evaluation import EvaluationServicer
from server.rpc.health import HealthServicer
from server.rpc.interceptors import CallInterceptor
from server.rpc.model import ModelServicer
from server.rpc.mount import Mount
from server.rpc.open_inference import OpenInferenceServicer
from server.rpc.options import server_options
from server.rpc.prediction import PredictionServicer
from server.rpc.read_only import ReadOnlyServicer
from server.rpc.sample import SampleServicer
from server.rpc.security import Renewal, listen, tell_who_may_call
from server.rpc.sweep import SweepServicer
from server.rpc.training import TrainingServicer

if TYPE_CHECKING:
    from server.monitoring import MetricsServer

log = logging.getLogger(__name__)

PREDICTION = prediction_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
MODEL = model_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name
SERVICES = (
    PREDICTION,
    training_pb2.DESCRIPTOR.services_by_name["TrainingService"].full_name,
    evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"].full_name,
    MODEL,
    sample_pb2.DESCRIPTOR.services_by_name["SampleService"].full_name,
    sweep_pb2.DESCRIPTOR.services_by_name["SweepService"].full_name,
)

INFERENCE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
# What comes by the thousand and takes less time than gRPC does: answered the shortest way.
PREDICT, MODEL_INFER = f"/{PREDICTION}/Predict", f"/{INFERENCE}/ModelInfer"
# What too many may ask at once. A stream holds its sender back by itself.
ADMITTED = frozenset(
    [PREDICT, MODEL_INFER]
    + [f"/{PREDICTION}/{method}" for method in ("BatchPredict", "ReadNumber", "ExplainPrediction")]
)
# What a replica serves; the other services only say that they are not here.
REPLICA_SERVICES = (PREDICTION, MODEL)
FOLLOW_EVERY_S = 0.1


async def serve(application: Application | Replica, config: Config) -> None:
    """Answer calls until SIGTERM or SIGINT, then finish what is under way, for `shutdown_grace_s` at most.

    Raises InvalidSetting when the address cannot be listened on.
    """
    draining = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, draining.set)

    backlog = Backlog()
    access = None if config.tokens is None else Access(config.tokens)
    calls = None if config.metrics_port is None else CallCounters()
    interceptor = CallInterceptor(backlog, Admission(backlog.waiting), ADMITTED, access, calls)
    server = make_server([interceptor], server_options(config))
    queue = open_queue(server, (PREDICT, MODEL_INFER))
    mount = Mount(server, () if queue is None else (PREDICT, MODEL_INFER))
    health_servicer, ask = mount_services(mount, application, draining)
    direct = None
    if queue is not None:
        guarded = {path: interceptor.guard(path, handler) for path, handler in mount.handlers.items()}
        methods = {path: DirectMethod(guarded[path], ask[path]) for path in guarded}
        direct = DirectCalls(queue, methods, application.predictor, access, calls)
        backlog.beside, backlog.unread_beside = direct.beside_the_loop, direct.unread
    renewal = Renewal(config)
    port = listen(server, config, renewal)
    tell_who_may_call(config)
    metrics = None if calls is None else _tell_metrics(config, application, calls, backlog)
    await server.start()
    if direct is not None:
        direct.start()
    # What is there now stays for good: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    await set_health(health_servicer, application)
    following = asyncio.gather(
        follow_deployed(health_servicer, application),
        renewal.follow(None if metrics is None else metrics.renew),
    )
    log.info(
        "serving",
        extra={
            "host": config.host,
            "port": port,
            "model_version": application.deployed,
            "data": str(config.data),
            "metrics_port": None if metrics is None else metrics.port,
        },
    )

    ended = asyncio.ensure_future(server.wait_for_termination())
    told_to_end = asyncio.ensure_future(draining.wait())
    await asyncio.wait((ended, told_to_end), return_when=asyncio.FIRST_COMPLETED)
    told_to_end.cancel()
    log.info("draining", extra={"grace_s": config.shutdown_grace_s, "answered": backlog.answered()})
    following.cancel()
    # Its end is waited for, or asyncio complains of a fault that nobody looked at.
    await asyncio.gather(following, return_exceptions=True)
    await health_servicer.enter_graceful_shutdown()
    await server.stop(config.shutdown_grace_s)
    await asyncio.gather(ended, return_exceptions=True)
    if direct is not None:
        direct.stop()
    if metrics is not None:
        metrics.close()
    if not draining.is_set():
        # A process that serves nothing must not go on: whoever supervises it starts another one.
        raise RuntimeError("gRPC has ended by itself")
    log.info("stopped")


def _tell_metrics(
    config: Config, application: Application | Replica, calls: CallCounters, backlog: Backlog
) -> MetricsServer:
    """Have Prometheus told on a port of its own. Raises InvalidSetting when that is not free."""
    # Only now: who wants no metrics need not wait for what they are made with.
    from server.monitoring import MetricsServer, ServerCollector

    return MetricsServer(config, ServerCollector(application, calls, backlog.waiting))


def mount_services(
    mount: Mount,
    application: Application | Replica,
    draining: asyncio.Event,
) -> tuple[HealthServicer, dict[str, Callable[[Any], Asked | None]]]:
    """Add every service. Gives that of health, and what tells whether a request may be answered directly."""
    prediction = PredictionServicer(
        application.predictor, application.numbers, application.explainer, draining
    )
    inference = OpenInferenceServicer(application, draining)
    prediction_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, mount)  # type: ignore[arg-type]
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, mount)  # type: ignore[arg-type]
    server = mount.server
    training: Any = ReadOnlyServicer()
    evaluation: Any = ReadOnlyServicer()
    sample: Any = ReadOnlyServicer()
    sweep: Any = ReadOnlyServicer()
    if isinstance(application, Application):
        training = TrainingServicer(application.trainings, application.data, draining)
        evaluation = EvaluationServicer(application)
        sample = SampleServicer(application)
        sweep = SweepServicer(application.sweeps)
    training_pb2_grpc.add_TrainingServiceServicer_to_server(training, server)
    evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(evaluation, server)
    sample_pb2_grpc.add_SampleServiceServicer_to_server(sample, server)
    sweep_pb2_grpc.add_SweepServiceServicer_to_server(sweep, server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(application), server)
    health_servicer = HealthServicer(draining)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    described = (*SERVICES, INFERENCE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(described, server)
    return health_servicer, {PREDICT: prediction.ask_predict, MODEL_INFER: inference.ask_infer}


async def set_health(health_servicer: HealthServicer, application: Application | Replica) -> None:
    """SERVING for what is here; predictions, which a replica is there for, with a version to answer them."""
    status = health_pb2.HealthCheckResponse
    is_replica = isinstance(application, Replica)
    for service in ("", *SERVICES):
        needs_version = service == PREDICTION or (is_replica and not service)
        is_here = not is_replica or service in ("", *REPLICA_SERVICES)
        is_ready = is_here and (not needs_version or application.deployed is not None)
        await health_servicer.set(service, status.SERVING if is_ready else status.NOT_SERVING)


async def follow_deployed(health_servicer: HealthServicer, application: Application | Replica) -> None:
    """Predictions are SERVING while there is a version. It is other threads that deploy and undeploy."""
    was_deployed = application.deployed is not None
    while True:
        await asyncio.sleep(FOLLOW_EVERY_S)
        is_deployed = application.deployed is not None
        if is_deployed != was_deployed:
            was_deployed = is_deployed
            await set_health(health_servicer, application)
