"""A whole store whose only way out is a proxy that wants a name and password: the copy, its refusal in words, and the way back."""

import json

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, destination, wait_settled
from proxy import Proxy

pytestmark = pytest.mark.timeout(120)
SECRET = "pa:ss@word"


@pytest.fixture
def opened():
    servers = []

    def make(**how):
        servers.append(harness.Server(args=SCRUB_OFF, **how))
        return servers[-1].start()

    yield make
    for server in reversed(servers):
        server.close()


def add(near, far, proxy):
    cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", far.endpoint, "--region", "us-east-1",
        "--bucket", "outside", "--path", "copies", "--access-key-id", far.access_key, "--secret-access-key", far.secret_key,
        "--ca-cert", far.ca, "--proxy-file", "-", stdin=proxy)


def test_all_goes_by_the_proxy_there_and_back(opened, monkeypatch):
    far, near = opened(tls="self-signed"), opened()
    monkeypatch.setenv("AWS_CA_BUNDLE", far.ca)
    client(far).create_bucket(Bucket="outside")
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    with Proxy("user", SECRET) as proxy:
        add(near, far, proxy.address("user:not-it@"))
        s3.put_object(Bucket="bucket", Key="small", Body=b"1")
        harness.wait_until("the stop", lambda: destination(near)["state"] == "stopped", 20)
        said = destination(near)["reason"]
        assert "proxy" in said and "name and password" in said and "not-it" not in said and f"127.0.0.1:{proxy.port}" in said
        assert "not-it" not in cli("destination", "list", "--data", near.data, "--json") + near.log()

        cli("destination", "set", "far", "--data", near.data, "--proxy-file", "-",
            stdin=proxy.address("user:pa%3Ass%40word@"))
        s3.put_object(Bucket="bucket", Key="large", Body=b"x" * (18 << 20))
        wait_settled(near)
        near.kill()
        near.start()  # for the harness; it sends nothing any more
        cli("destination", "pause", "far", "--data", near.data)

        fresh = opened()
        add(fresh, far, proxy.address("user:pa%3Ass%40word@"))
        before = len(proxy.asked)
        found = json.loads(cli("restore", "--data", fresh.data, "--from", "far", "--take-over", "--wait", "--json"))
        assert found is not None
        body = client(fresh).get_object(Bucket="bucket", Key="large")["Body"].read()
        assert body == b"x" * (18 << 20)
        assert len(proxy.asked) > before
        assert {line.split()[0] for line in proxy.asked} == {"CONNECT"}
