"""A whole store against a service that has bad days: storms, rotated keys, one poisoned object, answers that lie or never come,
a day of outage. Each time the copy comes even with no step of a person but what the status asks for."""

import json
import random
import threading
import time

import pytest

import harness
import s3_chaos
from chaos_proxy import ChaosProxy
from holdfasts import SCRUB_OFF, cli, client, destination, wait_settled
from later import Later
from s3_chaos import Rule, S3Chaos

pytestmark = pytest.mark.timeout(120)
BUCKET = "bucket"
FOREVER = 10**9


class Service(S3Chaos):
    """Counts who is served at once, and takes its time."""

    def __init__(self):
        self.seconds, self.serving, self.most = 0.0, 0, 0
        self.count_lock = threading.Lock()
        super().__init__()

    def answer(self, request):
        with self.count_lock:
            self.serving += 1
            self.most = max(self.most, self.serving)
        try:
            if self.seconds:
                time.sleep(self.seconds)
            return super().answer(request)
        finally:
            with self.count_lock:
                self.serving -= 1

    def copy(self):
        return {k.decode()[len(f"p/{BUCKET}/"):]: v["body"] for k, v in self.objects.items()
                if k.startswith(f"p/{BUCKET}/".encode())}


class Store:
    def __init__(self, service, server):
        self.service, self.server = service, server
        self.link = ChaosProxy(("127.0.0.1", service.port), seed=1)
        self.server.start()
        self.s3 = client(self.server)
        self.s3.create_bucket(Bucket=BUCKET)
        self.bodies = {}
        cli("destination", "add", "far", "--data", self.server.data, "--provider", "s3", "--endpoint", self.link.url, "--region",
            "us-east-1", "--bucket", service.bucket, "--path", "p", "--access-key-id", service.ACCESS_KEY,
            "--secret-access-key-file", "-", "--brake-percent", "100", stdin=service.SECRET_KEY)
        wait_settled(self.server)

    def put(self, key, body):
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        self.bodies[key] = body

    def put_many(self, name, n):
        threads = [threading.Thread(target=lambda i=i: self.put(f"{name}{i:03}", f"{name} {i}".encode())) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def wait_even(self, seconds=30):
        wait_settled(self.server, seconds=seconds)
        assert self.service.copy() == self.bodies

    def close(self):
        self.link.close()
        self.server.close()


@pytest.fixture
def service():
    with Service() as s:
        yield s


@pytest.fixture
def store(service):
    s = Store(service, harness.Server(args=SCRUB_OFF))
    try:
        yield s
    finally:
        s.close()


@pytest.fixture
def later_store(service):
    s = Store(service, Later(args=SCRUB_OFF))
    try:
        yield s
    finally:
        s.close()


def sometimes(chance, action):
    draw = random.Random(1)
    return lambda server, request, serve: action(server, request, serve) if draw.random() < chance else serve()


def answers(status, code, **headers):
    return lambda server, request, serve: server.error(status, code, "Please wait.", {k.replace("_", "-"): v for k, v in
                                                                                     headers.items()})


@pytest.mark.parametrize("storm", [answers(503, "SlowDown", Retry_After="1"), answers(503, "SlowDown"),
                                   answers(429, "TooManyRequests", Retry_After="1"), answers(500, "InternalError"),
                                   answers(429, "TooManyRequests")], ids=["503 with a time", "503", "429 with a time", "500", "429"])
def test_a_storm_passes_and_nothing_is_lost_or_doubled(service, store, storm):
    rule = Rule(sometimes(0.7, storm), times=FOREVER)
    service.rules.append(rule)
    store.put_many("a", 40)
    store.put("a000", b"overwritten")
    harness.wait_until("a storm", lambda: FOREVER - rule.left > 3, 20)
    assert destination(store.server)["last_error"]
    service.rules.clear()
    store.wait_even()


def test_slow_down_halves_what_is_sent_at_once_and_success_raises_it_again(service, store):
    service.seconds = 0.05
    store.put_many("before", 120)
    store.wait_even()
    assert service.most >= 4  # as many as overlapped when they were written, which a busy machine makes few
    service.rules.append(Rule(sometimes(0.8, answers(503, "SlowDown")), times=FOREVER))
    store.put_many("during", 120)
    time.sleep(3)  # several halvings
    service.most = service.serving
    time.sleep(2)
    assert service.most <= 16, "it was asked for less"
    service.rules.clear()
    service.most = 0
    for _ in range(6):
        store.put_many("after", 120)
        store.wait_even()
    assert service.most >= 4


def test_a_rotated_key_stops_the_copy_until_the_new_one_is_set(service, store):
    store.put("a", b"1")
    store.wait_even()
    service.keys = {"AKIDNEW": ("new-secret", None)}
    store.put("b", b"2")
    harness.wait_until("the stop", lambda: destination(store.server)["state"] == "stopped", 20)
    said = destination(store.server)["reason"]
    assert "mistyped, deleted or disabled" in said and service.SECRET_KEY not in said
    before = len(service.requests)
    store.put("c", b"3")
    time.sleep(2)
    assert len(service.requests) - before <= 2, "it hammers"
    cli("destination", "set", "far", "--data", store.server.data, "--access-key-id", "AKIDNEW", "--secret-access-key-file", "-",
        stdin="new-secret")
    store.wait_even(10)


def test_a_poisoned_object_is_parked_and_shown_and_heals_by_itself(service, later_store):
    store = later_store
    rule = Rule(answers(400, "InvalidArgument"), times=FOREVER, method="PUT", key="/poison")
    service.rules.append(rule)
    store.put("poison", b"bad today")
    store.put("behind", b"good")
    harness.wait_until("it to be parked", lambda: destination(store.server)["parked"] == 1, 20)
    harness.wait_until("the one behind it to go", lambda: "behind" in service.copy(), 20)
    told = []
    harness.wait_until("it to be called so", lambda: told.append(store.s3.head_object(Bucket=BUCKET, Key="poison")[
        "ReplicationStatus"]) or told[-1] == "FAILED", 10)
    assert "COMPLETED" not in told
    harness.wait_until("it to be listed", lambda: json.loads(cli("destination", "list", "--data", store.server.data, "--json"))[
        "parked"], 10)
    shown = json.loads(cli("destination", "list", "--data", store.server.data, "--json"))["parked"]
    assert "poison" in str(shown) and "InvalidArgument" in str(shown)
    time.sleep(1)
    tried = FOREVER - rule.left
    store.server.pass_time(65)
    harness.wait_until("it to be tried again", lambda: FOREVER - rule.left > tried, 20)
    assert destination(store.server)["parked"] == 1
    service.rules.clear()
    store.server.pass_time(130)
    harness.wait_until("it to be healed", lambda: destination(store.server)["parked"] == 0, 20)
    store.wait_even()


def test_answers_with_wrong_checksums_are_judged_by_the_bytes(service, store):
    service.rules.append(Rule(sometimes(0.4, s3_chaos.wrong_etag), times=FOREVER, method="PUT"))
    store.put_many("a", 30)
    store.wait_even()
    assert destination(store.server)["parked"] == 0


def test_a_peer_that_falls_silent_is_given_up_and_asked_again(service, later_store):
    store = later_store
    store.put("before", b"1")
    store.wait_even()
    store.link.black_hole = True
    store.put("during", b"2")
    time.sleep(1.5)
    store.server.pass_time(20)
    time.sleep(1.5)
    assert not destination(store.server)["last_error"], "patience is 30 seconds"
    store.server.pass_time(15)
    harness.wait_until("the word of it", lambda: "stood still" in destination(store.server)["last_error"], 20)
    store.link.black_hole = False
    store.server.pass_time(30)
    store.wait_even()


def test_an_outage_of_a_day_is_probed_and_not_hammered(service, later_store):
    store = later_store
    store.put("before", b"1")
    store.wait_even()
    store.link.cut()
    store.put_many("during", 60)
    store.put("large", b"x" * (20 << 20))
    harness.wait_until("the word of it", lambda: destination(store.server)["last_error"], 20)
    for _ in range(20):  # backoff grows
        store.server.pass_time(10)
        time.sleep(0.05)
    before = store.link.connections
    for _ in range(120):  # half an hour
        store.server.pass_time(15)
        time.sleep(0.04)
    probes = store.link.connections - before
    assert 5 <= probes <= 90, f"{probes} connections in half an hour"
    for _ in range(46):  # and the rest of the day
        store.server.pass_time(1800)
        time.sleep(0.02)
    now = destination(store.server)
    assert now["lag_entries"] > 0 and now["last_error"] and now["safe_until"] is not None, now
    store.link.mend()
    store.server.pass_time(61)
    store.wait_even(15)
