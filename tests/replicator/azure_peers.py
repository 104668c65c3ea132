"""Fixtures for the tests of Azure destinations: Azurite, and a front before it that checks tokens and roles."""

import itertools
import shutil

import pytest

import azure_key
import desttool
from azure_front import AzureFront
from conftest import Peer

ACCOUNT = "devstoreaccount1"
# Azurite's own well-known account.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_serial = itertools.count(1)


def azurite_command(*more):
    program = desttool.TOP / "build/azurite/node_modules/.bin/azurite-blob"
    program = str(program) if program.exists() else shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed (tests/setup does that)")
    return [program, "--silent", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", "{port}", "--location", "{folder}",
            *more]


@pytest.fixture(scope="session")
def azurite():
    """A client of a running Azurite, by its account's key."""
    peer = Peer(azurite_command(), seconds=60)
    try:
        yield azure_key.Client(peer.port, ACCOUNT, KEY)
    finally:
        peer.close()


@pytest.fixture
def container(azurite):
    """A new container's name."""
    name = f"copy-{next(_serial)}"
    azurite.ok("PUT", f"/{name}", {"restype": "container"})
    return name


@pytest.fixture
def front(azurite):
    with AzureFront(azurite) as f:
        yield f


def put_blob(azurite, path, body, **headers):
    azurite.ok("PUT", path, None, {"x-ms-blob-type": "BlockBlob", **{k.replace("_", "-"): v for k, v in headers.items()}}, body)
