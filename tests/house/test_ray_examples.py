"""What stands in examples/ray: as safe as what it is made of, and in step with the code."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cluster.connection import RAYS_OWN_SETTINGS
from server.cluster.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "ray"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = ("head", "worker-1", "worker-2")
RAY_SERVICE, SERVICE = yaml.safe_load_all((FOLDER / "rayservice.yaml").read_text())
SERVE = yaml.safe_load(RAY_SERVICE["spec"]["serveConfigV2"])
CLUSTER = RAY_SERVICE["spec"]["rayClusterConfig"]
PODS = {
    group.get("groupName", "head"): group["template"]["spec"]
    for group in (CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"])
}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_no_more_rights_than_those_of_one_machine(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert {"privileged", "user", "network_mode", "pid", "devices"} & set(service) == set()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_there_are_a_head_and_two_workers_and_only_the_head_writes_the_data() -> None:
    assert sorted(SERVICES) == ["frontend", *NODES]
    assert SERVICES["head"]["volumes"] == ["data:/data"]
    assert {tuple(SERVICES[name]["volumes"]) for name in NODES[1:]} == {("data:/data:ro",)}
    assert {SERVICES[name]["image"] for name in NODES} == {"digit-lab-ray"}
    assert (ROOT / SERVICES["head"]["build"]["args"]["LOCK"]).exists()


@pytest.mark.parametrize("name", NODES)
def test_every_node_of_compose_starts_ray_with_the_settings_that_the_services_want(name: str) -> None:
    environment = SERVICES[name]["environment"]

    assert {key: environment.get(key) for key in RAYS_OWN_SETTINGS} == RAYS_OWN_SETTINGS
    assert environment["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize("name", sorted(PODS))
def test_every_pod_does_so_too_and_runs_as_nobody_in_particular(name: str) -> None:
    (container,) = PODS[name]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}

    assert {key: environment.get(key) for key in RAYS_OWN_SETTINGS} == RAYS_OWN_SETTINGS
    assert environment["DIGITS_TOKENS_FILE"]
    assert PODS[name]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "secrets" not in str(container["env"]).lower()


def test_what_ray_serve_is_told_to_import_is_there() -> None:
    names = [application["import_path"].replace(":", ".") for application in SERVE["applications"]]

    for path in (*names, *SERVE["grpc_options"]["grpc_servicer_functions"]):
        module, _, name = path.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_settings_of_the_application_are_settings() -> None:
    (application,) = SERVE["applications"]

    settings = read_settings(application["args"])

    assert (settings.smallest, settings.largest) == (2, 16)
    assert set(application["args"]) <= {
        "DIGITS_RAY_REPLICAS",
        "DIGITS_RAY_PREDICTOR_CPUS",
        "DIGITS_RAY_TRAINING_CPUS",
    }


def test_kubernetes_leads_to_the_port_that_the_proxies_listen_on() -> None:
    port = SERVE["grpc_options"]["port"]

    assert [each["targetPort"] for each in SERVICE["spec"]["ports"]] == [port]
    for pod in PODS.values():
        assert [each["containerPort"] for each in pod["containers"][0]["ports"]] == [port]
    assert SERVICE["spec"]["selector"]["ray.io/originated-from-cr-name"] == RAY_SERVICE["metadata"]["name"]
