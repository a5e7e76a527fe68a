"""docker-compose.yml and the images, as far as they can be judged without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = ["server/Dockerfile", "frontend/Dockerfile"]


def test_the_services_are_the_server_its_replicas_the_page_and_tensorboard() -> None:
    assert sorted(SERVICES) == ["frontend", "replica", "server", "tensorboard"]


def test_replicas_start_on_request_only_write_nothing_and_are_not_published() -> None:
    replica = SERVICES["replica"]

    assert replica["profiles"] == ["replicas"]
    assert replica["command"][-1] == "--read-only"
    assert replica["volumes"] == ["data:/data:ro"]
    # Several of a service cannot share one published port, nor a name.
    assert {"ports", "container_name"} & set(replica) == set()
    assert replica["image"] == SERVICES["server"]["image"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"replica"}))
def test_a_service_is_published_on_this_machine_only(name: str) -> None:
    ports = SERVICES[name]["ports"]

    assert len(ports) == 1
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{DIGITS_\w*PORT:-\d+\}:\d+", port) for port in ports)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_a_health_check_and_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # Nothing of the host: not its user, network, processes, devices, kernel settings or Docker itself.
    gives_more = {
        *(
            "privileged",
            "user",
            "network_mode",
            "pid",
            "ipc",
            "uts",
            "userns_mode",
            "cgroup",
            "cgroup_parent",
        ),
        *(
            "devices",
            "device_cgroup_rules",
            "cap_add",
            "sysctls",
            "group_add",
            "extra_hosts",
            "use_api_socket",
        ),
    }
    assert gives_more & set(service) == set()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_an_end_to_its_memory_processes_temporary_files_and_log(name: str) -> None:
    service = SERVICES[name]

    # A training on the whole of MNIST takes 1.1 GB, and so does a conversion beside it.
    gib = int(re.fullmatch(r"(\d+)g", service["mem_limit"])[1])
    assert 4 <= gib <= 8 if name == "server" else 1 <= gib <= 2
    assert 256 <= service["pids_limit"] <= 2048
    (temporary,) = service["tmpfs"]
    path, _, options = temporary.partition(":")
    assert path == "/tmp"
    assert {"noexec", "nosuid", "nodev"} < set(options.split(","))
    assert re.search(r"size=\d+m", options)
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_mounts_nothing_of_the_host_and_its_image_is_one_of_those_checked_here(name: str) -> None:
    service = SERVICES[name]

    # `name:/path`, with a name from below: no path of the host, not Docker's socket.
    mounted = {volume.partition(":")[0] for volume in service.get("volumes", [])}
    assert mounted <= set(COMPOSE["volumes"])
    assert all(options is None for options in COMPOSE["volumes"].values())
    built = {each["image"]: each["build"]["dockerfile"] for each in SERVICES.values() if "build" in each}
    assert set(built.values()) == set(DOCKERFILES)
    assert service["image"] in built


def test_the_page_and_tensorboard_wait_for_a_server_that_serves() -> None:
    for name in ("frontend", "tensorboard"):
        assert SERVICES[name]["depends_on"] == {"server": {"condition": "service_healthy"}}


def test_the_data_lives_in_a_named_volume_that_only_the_server_writes() -> None:
    assert list(COMPOSE["volumes"]) == ["data"]
    assert SERVICES["server"]["volumes"] == ["data:/data"]
    assert SERVICES["tensorboard"]["volumes"] == ["data:/data:ro"]
    assert "volumes" not in SERVICES["frontend"]


def test_only_what_others_do_not_reach_goes_without_certificates_and_tokens() -> None:
    open_to_the_network = {
        name
        for name, service in SERVICES.items()
        if (service.get("environment") or {}).get("DIGITS_INSECURE")
    }

    assert open_to_the_network == {"server", "replica"}
    # Said where it is meant, and nowhere else: an image by itself refuses to be open.
    assert [path for path in DOCKERFILES if "DIGITS_INSECURE" in (ROOT / path).read_text()] == []
    assert [name for name, service in SERVICES.items() if "9464" in str(service.get("ports", []))] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_no_image_holds_a_secret(dockerfile: str) -> None:
    text = (ROOT / dockerfile).read_text()
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    assert re.findall(r"TOKEN|TLS|SECRET|PASSWORD", text) == []
    # An argument is written into the image. The one there is names a file: what a cluster needs besides.
    arguments = ["LOCK=server/requirements.lock"] if dockerfile.startswith("server/") else []
    assert re.findall(r"^\s*ARG (.+)", text, re.MULTILINE) == arguments
    assert sorted(allowed) == sorted({"server", "frontend", "proto", ".streamlit", "LICENSE"})
    # The page's log-in keys are beside its theme.
    for name in (".dockerignore", ".gitignore"):
        assert ".streamlit/secrets.toml" in (ROOT / name).read_text().splitlines()


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_an_image_is_built_from_the_one_base_runs_as_a_user_and_takes_signals(dockerfile: str) -> None:
    text = (ROOT / dockerfile).read_text()

    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.12-slim"}
    assert set(re.findall(r"--from=(\S+)", text)) == set(
        re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE)
    )
    assert "syntax=" not in text
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["digits"]
    # Nothing is made as that user, nor as root after it: it owns no program that it runs.
    after = text.partition("USER digits")[2]
    assert re.findall(r"^(RUN|COPY|ADD|USER)\b", after, re.MULTILINE) == []
    assert int(re.search(r"useradd --uid (\d+)", text)[1]) >= 10_000
    assert "--chown" not in text
    # What is installed is what was locked, and nothing is fetched besides.
    assert text.count("pip install") == text.count("--require-hashes") == 1
    assert re.findall(r"^ADD|apt-get|curl|wget|chmod|setcap|sudo", text, re.MULTILINE) == []
    # The exec form: with a shell in between SIGTERM would not arrive.
    assert re.search(r"^CMD \[", text, re.MULTILINE)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_an_image_copies_only_what_exists_and_is_let_through(dockerfile: str) -> None:
    text = (ROOT / dockerfile).read_text()
    lines = text.replace("${LOCK}", "server/requirements.lock").splitlines()
    sources = [line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if source.partition("/")[0] not in allowed] == []
