"""What the HTTP client does with proxies, slow links and connections that stand still, seen through the S3 protocol."""

import socket
import threading
import time

import pytest

from desttool import pattern
from imds import Imds
from proxy import Proxy
from s3_chaos import S3Chaos


@pytest.fixture(params=["http", "https"])
def s3(request):
    with S3Chaos(tls=request.param == "https") as fake:
        yield fake


@pytest.fixture
def open_s3(tool):
    def make(fake, **more):
        fields = {"provider": "s3", "endpoint": fake.url, "bucket": fake.bucket, "path": "p", "access_key_id": fake.ACCESS_KEY,
                  "secret_access_key": fake.SECRET_KEY, "ca_cert": fake.ca if fake.tls else None}
        fields.update(more)
        return tool(**fields)

    return make


def test_a_proxy_is_used_for_everything(s3, open_s3):
    with Proxy() as proxy:
        t = open_s3(s3, proxy=proxy.address())
        t.ok("put", "a", "@3000000")
        assert t.bytes("a", 2000000, 100) == pattern(100, 2000000)
        t.ok("probe")
        assert proxy.asked[0].split()[0] == ("CONNECT" if s3.tls else "PUT")


def test_a_proxy_with_a_password(s3, open_s3):
    with Proxy("user", "pa:ss@word") as proxy:
        t = open_s3(s3, proxy=proxy.address("user:pa%3Ass%40word@"))
        t.ok("put", "a", "@5")
        answer = open_s3(s3, proxy=proxy.address("user:wrong-secret@"))("put", "a", "@5")
        assert answer["kind"] == "person"
        assert "name and password" in answer["text"]
        assert "wrong-secret" not in str(answer)
        assert open_s3(s3, proxy=proxy.address())("probe")["kind"] == "person"


def test_a_proxy_that_refuses_the_host(open_s3):
    with S3Chaos(tls=True) as s3, Proxy(refuses=["localhost"]) as proxy:
        answer = open_s3(s3, proxy=proxy.address())("probe")
        assert (answer["kind"], answer["rows"][-1]["step"]) == ("person", "connect")
        assert "refuses connections" in answer["text"]


def test_a_proxy_that_is_down_is_tried_again(open_s3):
    with S3Chaos(tls=True) as s3, Proxy(dead=True) as proxy:
        assert open_s3(s3, proxy=proxy.address())("put", "a", "@5")["kind"] == "retry"
        dead = proxy.address()
    with S3Chaos() as s3:
        answer = open_s3(s3, proxy=dead)("put", "a", "@5")
        assert answer["kind"] == "retry" and "proxy" in answer["text"].lower()


def test_metadata_services_are_never_reached_by_the_proxy(open_s3):
    with S3Chaos() as s3, Proxy() as proxy, Imds() as imds:
        s3.sources.append(imds)
        t = open_s3(s3, proxy=proxy.address(), use_instance_role=True, metadata_endpoint=imds.url)
        t.ok("put", "a", "@5")
        assert imds.calls == 1
        assert all(str(imds.port) not in line for line in proxy.asked)


@pytest.mark.parametrize("life,code,words", [((-9, -1), "CertificateExpired", "has expired: renew it there"),
                                             ((1, 9), "CertificateNotYetValid", "not valid yet")])
def test_a_certificate_out_of_its_time_is_named(open_s3, life, code, words):
    with S3Chaos(tls=life) as s3:
        answer = open_s3(s3)("probe")
        assert (answer["kind"], answer["code"], answer["rows"][-1]["step"]) == ("person", code, "tls")
        assert words in answer["text"] and f"localhost:{s3.port}" in answer["text"]


def test_a_certificate_for_another_name_and_one_of_an_unknown_authority_are_named(open_s3):
    with S3Chaos(tls=True, names=("elsewhere.example",)) as s3:
        answer = open_s3(s3)("put", "a", "@5")
        assert (answer["kind"], answer["code"]) == ("person", "CertificateHost")
        assert "another name" in answer["text"]
        answer = open_s3(s3, ca_cert=None)("put", "a", "@5")
        assert (answer["kind"], answer["code"]) == ("person", "CertificateUnknown")
        assert "CA certificate" in answer["text"]


def test_a_private_authority_stands_beside_the_systems(open_s3, tmp_path):
    """The system's, which SSL_CERT_FILE names here, still serves when a private one is given."""
    with S3Chaos(tls=True) as system, S3Chaos(tls=True) as private:
        env = {"SSL_CERT_FILE": system.ca}
        open_s3(system, ca_cert=private.ca, env=env).ok("put", "a", "@5")
        open_s3(private, ca_cert=private.ca, env=env).ok("put", "a", "@5")
        assert open_s3(private, ca_cert=None, env=env)("put", "a", "@5")["code"] == "CertificateUnknown"


class SlowServer:
    """Takes what comes at a rate, then answers 503; or takes nothing at all."""

    def __init__(self, bytes_per_second):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.port = self.listener.getsockname()[1]
        self.rate, self.taken, self.open = bytes_per_second, 0, True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.open:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.take, args=(connection,), daemon=True).start()

    def take(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")][0]
        while self.taken < length and self.open:
            if not self.rate:
                time.sleep(0.1)
                continue
            data = connection.recv(self.rate // 10)
            if not data:
                return
            self.taken += len(data)
            time.sleep(0.1)
        if self.open:
            connection.sendall(b"HTTP/1.1 503 Slow\r\nContent-Length: 0\r\n\r\n")
        connection.close()

    def close(self):
        self.open = False
        self.listener.close()


def at(server, open_s3, **more):
    fake = type("At", (), {"url": f"http://127.0.0.1:{server.port}", "bucket": "bucket", "tls": False, "ACCESS_KEY": "a",
                           "SECRET_KEY": "s"})
    return open_s3(fake, **more)


def test_a_raised_stop_flag_ends_what_runs(open_s3):
    server = SlowServer(0)
    try:
        began = time.monotonic()
        answer = at(server, open_s3, stop_after=500)("put", "a", "@10000000")
        assert answer["kind"] == "stopped"
        assert time.monotonic() - began < 3
    finally:
        server.close()


@pytest.mark.timeout(120)
def test_a_slow_link_is_not_a_dead_one(open_s3):
    """What the kernel still sends counts: far longer than the stall timeout after the last byte was handed over."""
    server = SlowServer(20000)
    try:
        began = time.monotonic()
        answer = at(server, open_s3)("put", "a", "@1000000")
        assert (answer["kind"], answer["status"]) == ("retry", 503)
        assert time.monotonic() - began > 40
    finally:
        server.close()


@pytest.mark.timeout(120)
def test_a_connection_that_stands_still_is_given_up(open_s3):
    server = SlowServer(0)
    try:
        began = time.monotonic()
        answer = at(server, open_s3)("put", "a", "@10000000")
        assert (answer["kind"], answer["fate_unknown"]) == ("retry", False)
        assert "stood still" in answer["text"]
        assert 25 < time.monotonic() - began < 50
    finally:
        server.close()
