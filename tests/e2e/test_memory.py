"""Memory does not depend on the size of objects, on how many move at once, or on how many there are.

The limit is RLIMIT_DATA, set on the running server: what it allocates beyond that fails, whatever the machine has.
"""

import concurrent.futures
import os
import resource

import pytest

import harness
import s3raw
from conftest import client_for

MIB = 1 << 20
UPLOADS = 8
SIZE = (5 << 30) if harness.BIG else 160 * MIB
KEYS = 1000000 if harness.BIG else 20000
LIMIT = 128 * MIB
ANONYMOUS = 64 * MIB


def status(server, field):
    """A field of /proc/PID/status in bytes."""
    with open(f"/proc/{server.process.pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field}")


@pytest.fixture
def bounded(new_server):
    if "asan" in harness.BINARY.name or "tsan" in harness.BINARY.name:
        pytest.skip("a sanitizer has a memory of its own")
    server = new_server().start()
    resource.prlimit(server.process.pid, resource.RLIMIT_DATA, (LIMIT, LIMIT))
    return server


class Zeros:
    """A body of `size` bytes that is never in memory: blocks that differ by their number."""

    def __init__(self, size):
        self.left, self.number = size, 0

    def read(self, n=-1):
        n = min(self.left, MIB if n < 0 else n, MIB)
        self.left -= n
        self.number += 1
        return (self.number.to_bytes(8, "big") * (MIB // 8))[:n]


def begin_put(server, key, size):
    """A connection on which the head of a PUT has gone out, unsigned in its payload."""
    raw = s3raw.Client(server.address, server.host, server.access_key, server.secret_key)
    c = raw.connect(timeout=600)
    c.send(raw.build("PUT", f"/memory/{key}", headers=[("Content-Length", str(size))], payload=s3raw.UNSIGNED))
    return c


def put(server, key, size):
    with begin_put(server, key, size) as c:
        body = Zeros(size)
        while block := body.read(MIB):
            c.send(block)
        answer = c.read("PUT")
        assert answer.status == 200, answer


def get(server, key, size):
    client = client_for(server, read_timeout=600)
    body = client.get_object(Bucket="memory", Key=key)["Body"]
    want, got = Zeros(size), 0
    while got < size:
        block = want.read(MIB)
        assert body.read(len(block)) == block
        got += len(block)
    assert body.read(1) == b""


def test_large_uploads_and_downloads_at_once_stay_within_the_limit(bounded):
    client_for(bounded).create_bucket(Bucket="memory")
    room = os.statvfs(bounded.data)
    size = min(SIZE, room.f_bavail * room.f_frsize // (2 * UPLOADS))
    assert size >= 64 * MIB, "no room on the disk for this test"
    for move in (put, get):
        with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
            for done in [pool.submit(move, bounded, f"large-{i}", size) for i in range(UPLOADS)]:
                done.result()
        assert status(bounded, "RssAnon") < ANONYMOUS
    # What the work took goes back when it is done.
    harness.wait_until("memory is given back", lambda: status(bounded, "RssAnon") < 10 * MIB, 20)


def test_many_slow_uploads_at_once_cost_a_bounded_buffer_each(bounded):
    client_for(bounded).create_bucket(Bucket="memory")
    connections = []
    try:
        for i in range(64):
            connections.append(begin_put(bounded, f"slow-{i}", 1 << 30))
            for _ in range(4):
                connections[-1].send(b"x" * MIB)
        harness.wait_until("what was sent has been taken",
                           lambda: received(bounded) >= 64 * 4 * MIB, 120)
        assert status(bounded, "RssAnon") < ANONYMOUS
    finally:
        for c in connections:
            c.close()


def received(server):
    for line in server.metrics().splitlines():
        if line.startswith("holdfast_http_received_bytes_total "):
            return float(line.split()[1])
    return 0


def test_a_listing_of_many_keys_needs_no_more_memory(bounded):
    client = client_for(bounded)
    client.create_bucket(Bucket="memory")
    names = [f"{i % 97:02d}/{i:07d}" for i in range(KEYS)]

    def write(part):
        mine = client_for(bounded)
        for name in part:
            mine.put_object(Bucket="memory", Key=name, Body=b"")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write, names[i::8]) for i in range(8)]:
            done.result()
    found = [o["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket="memory")
             for o in page["Contents"]]
    assert found == sorted(names)
    assert status(bounded, "RssAnon") < 32 * MIB
