"""Power cuts of a store that keeps a copy outside: whatever a cut leaves of the store's disk, with the destination as it was
at that instant, the copy comes to what the store holds after its next start. Nothing acknowledged is missing, nothing is
removed that nobody removed, and no unfinished upload is left.

    HOLDFAST_CRASH_STATES   a twentieth of it is how many cuts (300)
    HOLDFAST_CRASH_SEED     another seed draws other cuts (1)
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import socket
import sys
import threading
import time

import boto3
import botocore.config
import pytest

HERE = os.path.dirname(__file__)
for folder in (HERE, os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "fakes")):
    sys.path.insert(0, folder)
import crashtools
import harness
import replay
from s3_chaos import S3Chaos
from test_crash import SEED, STATES, cuts_of

pytestmark = pytest.mark.timeout(0)  # as long as it was told to take

CUTS = max(STATES // 20, 8)
WORKERS = int(os.environ.get("HOLDFAST_CRASH_WORKERS", 2 * (os.cpu_count() or 2)))  # they wait much
CHANGES = 60
BUCKET, PATH = "mine", b"copy/mine/"
ENDPOINT = "http://far.invalid"


class Far(S3Chaos):
    """A destination that outlives the cut. With a marker, it says in the log when each change of it was done."""

    def __init__(self, marker=None):
        self.marker = marker
        self.changes = []  # (which table, key, value or None)
        super().__init__(bucket="outside")
        self.requests = collections.deque(maxlen=4096)

    def answer(self, request):
        """As a proxy before the place, which has the same address for everybody."""
        request.target, request.path = (t.removeprefix(ENDPOINT) for t in (request.target, request.path))
        request.headers = [h for h in request.headers if h[0] != "proxy-connection"]
        return super().answer(request)

    def serve(self, request, trusting=False):
        """Under the lock, so that the log has the changes in their order."""
        before = [dict(self.objects), {u: dict(v["parts"]) for u, v in self.uploads.items()}]
        answer = super().serve(request, trusting)
        after = [self.objects, {u: v["parts"] for u, v in self.uploads.items()}]
        for table, (old, new) in enumerate(zip(before, after)):
            for key in [k for k in old.keys() | new.keys() if old.get(k) != new.get(k)]:
                now = (self.objects if table == 0 else self.uploads).get(key)
                if table == 1 and now is not None:
                    now = {**now, "parts": dict(now["parts"])}
                self.changes.append((table, key, now))
                if self.marker:
                    self.marker.mark(far=len(self.changes))
        return answer

    def become(self, changes):
        for table, key, value in changes:
            where = self.objects if table == 0 else self.uploads
            where.pop(key, None)
            if value is not None:
                where[key] = value if table == 0 else {**value, "parts": dict(value["parts"])}

    def holds(self):
        with self.lock:
            return {k[len(PATH):].decode(): hashlib.md5(v["body"]).hexdigest() for k, v in self.objects.items()
                    if k.startswith(PATH)}

    def removed(self):
        return {r.path.partition("/copy/mine/")[2] for r in list(self.requests)
                if r.method == "DELETE" and "uploadId" not in r.query and "/plugins/" not in r.path}

    def config(self, path):
        with open(path, "w") as f:
            f.write(f"[destination far]\nprovider = s3\nendpoint = {ENDPOINT}\nproxy = {self.url}\nregion = us-east-1\nbucket = outside\npath = copy\n"
                    f"access-key-id = {self.ACCESS_KEY}\nsecret-access-key = {self.SECRET_KEY}\nbrake-percent = 100\n")
        return path


@contextlib.contextmanager
def serving(data, config=None, env=None):
    """A server on DATA that ends as abruptly as the power does."""
    server = harness.Server(args=["--scrub-rate", "0", *(["--config", config] if config else [])], data=data, env=env)
    try:
        try:
            server.start()
        except harness.ServerFailed as e:
            raise harness.ServerFailed(f"{e}\n{server.tail(2000)}") from None
        yield server
    finally:
        if server.running():
            server.kill()
        harness.LIVE.remove(server)
        server.port.release()
        server.admin_port.release()
        shutil.rmtree(server.own_root, ignore_errors=True)


def client(server):
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id=server.access_key,
                        aws_secret_access_key=server.secret_key,
                        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))


def status(data):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(data, "control.sock"))
        s.sendall(b"GET /v1/destinations HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])["destinations"][0]


def is_even(data):
    s = status(data)
    return s["state"] == "consistent" and s["lag_entries"] == 0


class Writer(threading.Thread):
    """Keys of its own; says in the log what it asks for and what was acknowledged."""

    numbers = iter(range(1, 1 << 30))

    def __init__(self, server, marker, name, changes):
        super().__init__()
        self.s3, self.marker, self.label, self.n = client(server), marker, name, changes
        self.chance = random.Random(f"{SEED}/{name}")
        self.failure = None

    def run(self):
        try:
            for i in range(self.n):
                self.change(i)
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure

    def change(self, i):
        key = f"{self.label}/k{self.chance.randrange(40)}"
        if self.chance.random() < 0.2:
            self.ask(key, None, lambda: self.s3.delete_object(Bucket=BUCKET, Key=key))
            return
        size = (17 << 20) + i if i % 50 == 25 else self.chance.choice((0, 300, 5000, 300000))
        body = f"change {i} of {self.label}\n".encode() + bytes(size)
        self.ask(key, hashlib.md5(body).hexdigest(), lambda: self.s3.put_object(Bucket=BUCKET, Key=key, Body=body))

    def ask(self, key, value, request):
        number = next(Writer.numbers)
        self.marker.mark(op=number, key=key, value=value)
        request()
        self.marker.mark(ack=number)


def write(server, marker, names, changes=CHANGES):
    writers = [Writer(server, marker, name, changes) for name in names]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
        if w.failure:
            raise w.failure


class Recording:
    def __init__(self, scratch):
        self.data, self.log = scratch / "data", scratch / "log"
        os.mkdir(self.data)
        preload = crashtools.preload("tests/crash/record.c", scratch.path)
        env = {"LD_PRELOAD": preload, "HOLDFAST_RECORD_DIR": self.data, "HOLDFAST_RECORD_LOG": self.log,
               "HOLDFAST_RECORD_DELAY_US": "500"}
        marker = replay.Marker(self.log)
        with Far(marker) as far:
            config = far.config(scratch / "config")
            with serving(self.data, env=env) as near:
                client(near).create_bucket(Bucket=BUCKET)
                marker.mark(ready=1)
                write(near, marker, ["before"], 20)
                near.stop()
            with serving(self.data, config, env) as near:
                write(near, marker, ["a", "b", "c"])
                near.kill()
            with serving(self.data, config, env) as near:
                write(near, marker, ["a", "d"])
                harness.wait_until("the copy to be even", lambda: is_even(self.data), 60)
                near.stop()
            self.changes = far.changes
        marker.close()


class Judge:
    """Builds and judges cuts; one in each worker process."""

    def __init__(self, recording, scratch):
        self.recording = recording
        self.records = replay.load(recording.log)
        self.marks = [(i, replay.mark_of(r)) for i, r in enumerate(self.records) if r.type == replay.MARK]
        self.ready = next(i for i, m in self.marks if "ready" in m)
        self.disk = replay.Disk()
        self.state = os.path.join(scratch, f"state.{os.getpid()}")

    def told(self, cut):
        """By the marks before the cut: how far the place outside was; {key: values it may have}; keys that were removed."""
        far, row, where, removed = 0, collections.defaultdict(lambda: [None]), {}, set()
        for i, mark in self.marks:
            if i >= cut:
                break
            if "far" in mark:
                far = mark["far"]
            elif "op" in mark:
                row[mark["key"]].append(mark["value"])
                where[mark["op"]] = (mark["key"], len(row[mark["key"]]) - 1)
                if mark["value"] is None:
                    removed.add(mark["key"])
            elif "ack" in mark:
                key, at = where[mark["ack"]]
                row[key][:at] = [Ellipsis] * at  # cannot be what it has any more
        return far, row, removed

    def wrong(self, number, cut, policy):
        for r in self.records[self.disk.index:cut]:
            self.disk.apply(r)
        if cut <= self.ready:
            return []
        shutil.rmtree(self.state, ignore_errors=True)
        self.disk.build(self.state, policy, f"{SEED}/{number}")
        try:
            return self.converge(*self.told(cut))
        except harness.ServerFailed as e:
            return [str(e)]
        finally:
            shutil.rmtree(self.state, ignore_errors=True)

    def converge(self, n_far, may, removed):
        wrong = []
        with Far() as far:
            far.become(self.recording.changes[:n_far])
            os.makedirs(self.state, exist_ok=True)
            with serving(self.state, far.config(self.state + ".config")) as near:
                harness.wait_until("the copy to be even", lambda: is_even(self.state), 60)
                pages = client(near).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
                here = {e["Key"]: e["ETag"].strip('"') for p in pages for e in p.get("Contents", [])}
                wrong += [f"{key} is {here.get(key)} here, of {row}" for key, row in may.items() if here.get(key) not in row]
                there = far.holds()
                wrong += [f"{key} is {here.get(key)} here and {there.get(key)} outside" for key in here.keys() | there.keys()
                          if here.get(key) != there.get(key)]
                wrong += [f"{key} was removed outside" for key in far.removed() - removed]
                deadline = time.monotonic() + 5
                while far.uploads and time.monotonic() < deadline:
                    time.sleep(0.02)
                wrong += [f"an upload of {u['key']} is left outside" for u in far.uploads.values()]
        return wrong


def judge(recording, scratch, cuts):
    judge_, bad = Judge(recording, scratch), []
    for number, cut, policy in cuts:
        wrong = judge_.wrong(number, cut, policy)
        if wrong:
            bad.append((cut, policy, number, wrong[:5]))
            if len(bad) > 2:
                break
    return bad


def judge_all(recording, scratch):
    cuts = cuts_of(replay.load(recording.log), CUTS)
    with concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
        work = [pool.submit(judge, recording, scratch.path, cuts[i::WORKERS]) for i in range(WORKERS)]
        return [f"cut before operation {cut}, {policy}, HOLDFAST_CRASH_SEED={SEED} {number}: {wrong}"
                for w in work for cut, policy, number, wrong in w.result()]


@pytest.fixture(scope="module")
def scratch():
    scratch = crashtools.Scratch("crash-outside")
    yield scratch
    scratch.remove()


def test_the_copy_outside_comes_to_what_the_cut_left(scratch):
    bad = judge_all(Recording(scratch), scratch)
    assert bad == [], "\n".join(bad)
