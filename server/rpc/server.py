"""The gRPC server: services, health, reflection, and an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

import grpc
from digits.v1 import (
    evaluation_pb2,
    evaluation_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.admission import Admission
from server.application import Application
from server.config import Config, InvalidSetting
from server.rpc.backlog import CHANNELZ, Backlog
from server.rpc.evaluation import EvaluationServicer
from server.rpc.health import HealthServicer
from server.rpc.interceptors import ErrorInterceptor
from server.rpc.model import ModelServicer
from server.rpc.prediction import PredictionServicer
from server.rpc.training import TrainingServicer

log = logging.getLogger(__name__)

PREDICTION = prediction_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
SERVICES = (
    PREDICTION,
    training_pb2.DESCRIPTOR.services_by_name["TrainingService"].full_name,
    evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"].full_name,
    model_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
)

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

MAX_PENDING_CALLS = 512

OPTIONS = [
    # gRPC's own 4 MiB would answer before our image check can name the field. A batch may be larger still.
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two servers on one port would share its calls at random; the second shall be refused instead.
    ("grpc.so_reuseport", 0),
    # Clients may ping an idle connection every 10 s, to notice a server that is gone.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Admission refuses long before, with a time to return. This is for senders that do not listen: gRPC
    # itself ends what is beyond with CANCELLED, at a tenth of the cost, so that the others are answered.
    ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
    CHANNELZ,
]


async def serve(application: Application, config: Config) -> None:
    """Answer calls until SIGTERM or SIGINT, then finish what is under way, for `shutdown_grace_s` at most.

    Raises InvalidSetting when the address cannot be listened on.
    """
    draining = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, draining.set)

    backlog = Backlog()
    server = grpc.aio.server(interceptors=[ErrorInterceptor(backlog)], options=OPTIONS)
    health_servicer = _mount(server, application, Admission(backlog.waiting), draining)
    port = _listen(server, config)
    await server.start()
    # What is there now stays for good: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    await _set_health(health_servicer, application)
    log.info(
        "serving",
        extra={
            "host": config.host,
            "port": port,
            "model_version": application.deployed,
            "data": str(config.data),
        },
    )

    await draining.wait()
    log.info("draining", extra={"grace_s": config.shutdown_grace_s})
    await health_servicer.enter_graceful_shutdown()
    await server.stop(config.shutdown_grace_s)
    log.info("stopped")


def _mount(
    server: grpc.aio.Server, application: Application, admission: Admission, draining: asyncio.Event
) -> HealthServicer:
    prediction_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionServicer(application.predictor, admission, draining), server
    )
    training_pb2_grpc.add_TrainingServiceServicer_to_server(
        TrainingServicer(application.trainings, application.data, draining), server
    )
    evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(EvaluationServicer(application), server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(application), server)
    health_servicer = HealthServicer(draining)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return health_servicer


def _listen(server: grpc.aio.Server, config: Config) -> int:
    try:
        return server.add_insecure_port(config.address)
    except RuntimeError:
        raise InvalidSetting(
            f"DIGITS_HOST, DIGITS_PORT: cannot listen on {config.address}; "
            "is another server running there? Set DIGITS_PORT to a free port"
        ) from None


async def _set_health(health_servicer: HealthServicer, application: Application) -> None:
    """SERVING for everything; predictions only when there is a version to answer them."""
    status = health_pb2.HealthCheckResponse
    for service in ("", *SERVICES):
        is_ready = service != PREDICTION or application.deployed is not None
        await health_servicer.set(service, status.SERVING if is_ready else status.NOT_SERVING)
