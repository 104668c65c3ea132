"""Fixtures: one server per test file, a fresh bucket per test, and the server's log beside each failure."""

import itertools
import os
import signal
import threading

import boto3
import botocore.config
import pytest

import harness
import s3raw

_serial = itertools.count(1)


def pytest_configure():
    """A run that is told to end takes its servers with it."""
    def end(*_):
        raise KeyboardInterrupt
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def _new(**how):
    if harness.FOREIGN_ENDPOINT:
        return harness.ForeignServer(harness.FOREIGN_ENDPOINT)
    return harness.Server(**how)


@pytest.fixture(scope="module")
def server():
    """The file's server over plain HTTP."""
    s = _new()
    try:
        yield s.start()
    finally:
        s.close()


@pytest.fixture(scope="module")
def tls_server():
    """A server with its own certificate; its CA is in .ca."""
    if harness.FOREIGN_ENDPOINT:
        pytest.skip("a foreign endpoint has no TLS here")
    s = harness.Server(tls="self-signed")
    try:
        yield s.start()
    finally:
        s.close()


@pytest.fixture(params=["http", "https"])
def any_server(request):
    """The file's server over http, then its other one over https."""
    return request.getfixturevalue("server" if request.param == "http" else "tls_server")


@pytest.fixture
def new_server():
    """Makes servers for one test alone: new_server(args=[...], tls=..., env=...), not yet started."""
    if harness.FOREIGN_ENDPOINT:
        pytest.skip("needs a server of its own")
    made = []

    def make(**how):
        made.append(harness.Server(**how))
        return made[-1]

    try:
        yield make
    finally:
        failure = None
        for s in made:
            try:
                s.close()
            except AssertionError as e:
                failure = failure or e
        if failure:
            raise failure


def client_for(server, access_key=None, secret_key=None, **config):
    """A boto3 client that never retries, so that a test sees the first answer."""
    settings = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}, "retries": {"total_max_attempts": 1},
                "connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 32}
    settings.update(config)
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1",
                        aws_access_key_id=access_key or server.access_key,
                        aws_secret_access_key=secret_key or server.secret_key,
                        verify=server.ca or True, config=botocore.config.Config(**settings))


@pytest.fixture(scope="module")
def s3(server):
    return client_for(server)


@pytest.fixture(scope="module")
def raw(server):
    """Requests signed by our own signer, a connection each."""
    return s3raw.Client(server.address, server.host, server.access_key, server.secret_key)


def bucket_name():
    return f"t{os.getpid()}-{next(_serial)}"


@pytest.fixture
def bucket(s3):
    name = bucket_name()
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(autouse=True)
def _mark_logs():
    for s in harness.LIVE:
        s.mark()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for s in harness.LIVE:
            report.sections.append((f"log of the server on {s.host}", s.log_since_mark()[-8000:]))
