"""Kill anywhere: whatever a store was doing for its destination when it was killed, after the next start the copy comes to
what the store holds: nothing skipped, nothing done twice that shows, nothing left behind, nothing removed that nobody removed.

    HOLDFAST_KILLS      how many kills in each kind of work (3); with more than ten, each kind goes to all four places
    HOLDFAST_CUT_SEED   draws other instants and other changes (1)
"""

import http.client
import json
import os
import random
import socket
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, destination, keys, settled, wait_settled
from past import what_is_wrong
from places import MIB, OWN, PLACES, open_place
from writers import BUCKET, Seen, Writers, holdings, put_many

KILLS = int(os.environ.get("HOLDFAST_KILLS", "3"))
SEED = os.environ.get("HOLDFAST_CUT_SEED", "1")
MANY = KILLS > 10
PACES = {"google": {"n_keys": 60, "pause": 0.08}}
pytestmark = pytest.mark.timeout(200 + 30 * KILLS)
at_one_place = pytest.mark.parametrize("place", PLACES if MANY else ["holdfast"], indirect=True)


@pytest.fixture(params=PLACES)
def place(request):
    with open_place(request.param) as p:
        yield p


@pytest.fixture
def stores():
    made = []

    def make(**how):
        made.append(harness.Server(args=SCRUB_OFF, **how).start())
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def near(stores):
    server = stores()
    client(server).create_bucket(Bucket=BUCKET)
    return server


class Kills:
    """At instants, or when some more bytes have passed. What comes between the kill and the next start is the loop's."""

    def __init__(self, near, place, kind, most_seconds, most_bytes=1 << 20, link=None, count=KILLS):
        self.near, self.place, self.most_seconds, self.most_bytes = near, place, most_seconds, most_bytes
        self.link, self.count = link or place.link, count
        self.chance = random.Random(f"{SEED}/{kind}/{place.name}")
        self.what = f"of {kind} at {place.name}, HOLDFAST_CUT_SEED={SEED}"

    def __iter__(self):
        for number in range(self.count):
            deadline = time.monotonic() + self.chance.random() * self.most_seconds
            until = self.link.passed + self.most_bytes ** self.chance.random()
            by_bytes = self.chance.random() < 0.5
            while time.monotonic() < deadline and not (by_bytes and self.link.passed >= until):
                time.sleep(0.001)
            self.near.kill()
            yield number
            self.near.start()


def same(place, near):
    assert Seen(place).values() == holdings(near)
    most = KILLS if place.forgets else 0
    harness.wait_until(f"nothing unfinished at the place: {place.unfinished()}", lambda: len(place.unfinished()) <= most, 30)


def only_removed(place, *names):
    assert set(place.removed_keys()) <= {f"{BUCKET}/{name}" for name in names}


def control(near, method, path, body):
    text = json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(near.data / "control.sock"))
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n".encode()
                  + text)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    assert answer.split(b" ")[1][:1] == b"2", answer


def test_kills_amid_writes_show_a_consistent_past_and_lose_nothing(place, near):
    place.add(near, "--brake-percent", "100")
    seen, kills = Seen(place), Kills(near, place, "writes", 2.0, 20 * MIB)
    pace = PACES.get(place.name, {"pause": 0.01})
    with Writers(near, SEED, big=0.03, kills_allowed=True, **pace) as writers:
        for number in kills:
            writers.check()
            wrong = what_is_wrong(writers.history, seen.values())
            assert wrong == [], f"kill {number} {kills.what}"
    writers.stop()
    wait_settled(near, seconds=90)
    same(place, near)
    only_removed(place, *writers.history.removed())


def test_a_large_object_goes_on_with_the_parts_that_are_there(place, near):
    """Each kill costs what was on its way, and nothing that had arrived."""
    part, kills = 16 * MIB, 3 if MANY else 1
    place.add(near, "--concurrency", "1")
    place.link.bytes_per_second = 48 * MIB
    chance = random.Random(f"{SEED}/{place.name}")
    for i in range(KILLS // 3 if MANY else 1):
        before = place.link.passed
        client(near).put_object(Bucket=BUCKET, Key=f"large{i}", Body=chance.randbytes((2 * kills + 1) * part))
        for _ in range(kills):
            until = place.link.passed + (1.3 + 0.6 * chance.random()) * part
            harness.wait_until("it to go on", lambda: place.link.passed >= until, 60)
            near.kill()
            near.start()
        wait_settled(near, seconds=60)
        most = (2 * kills + 1) * part + kills * part + 2 * MIB
        sent = place.link.passed - before
        assert sent <= most, f"{sent / MIB:.1f} MiB of {most / MIB:.1f}, HOLDFAST_CUT_SEED={SEED}"
    place.link.bytes_per_second = 0
    same(place, near)


@pytest.mark.parametrize("place", ["holdfast", "moto"], indirect=True)
def test_an_upload_whose_name_was_lost_is_ended(place, near):
    """The kill comes before the answer that gives it."""
    place.add(near)
    wait_settled(near)
    place.link.held = "?uploads"
    client(near).put_object(Bucket=BUCKET, Key="large", Body=bytes(20 * MIB))
    harness.wait_until("it to be begun", lambda: any("?uploads" in line for _, line in place.link.asked), 20)
    near.kill()
    place.link.held = None
    harness.wait_until("the late beginning", lambda: len(place.unfinished()) == 1, 20)
    near.start()
    wait_settled(near)
    same(place, near)


class SlowPut:
    """A PUT whose last byte is sent when a test says so."""

    def __init__(self, near, key, body):
        url = client(near).generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key})
        self.connection = http.client.HTTPConnection(near.host, timeout=60)
        self.connection.putrequest("PUT", url.partition(near.host)[2])
        self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders(body[:-1])
        self.last = body[-1:]

    def end(self):
        self.connection.send(self.last)
        answer = self.connection.getresponse()
        assert answer.status == 200, answer.read()
        self.connection.close()


def test_a_large_object_that_was_published_ahead_of_a_hanging_change_is_not_sent_again(place, near):
    """It is behind the watermark when the kill comes, and what was known of its upload is forgotten already."""
    place.add(near, "--concurrency", "4")
    s3 = client(near)
    s3.put_object(Bucket=BUCKET, Key="first", Body=b"x")
    wait_settled(near)
    for i in range(min(KILLS, 2)):
        large = SlowPut(near, f"large{i}", random.Random(SEED).randbytes(20 * MIB))
        place.link.held = place.small_put_of(f"hangs{i}")
        s3.put_object(Bucket=BUCKET, Key=f"hangs{i}", Body=b"x")
        large.end()
        harness.wait_until("it to be there", lambda: f"{BUCKET}/large{i}" in place.listing(), 60)
        time.sleep(0.5)  # until what was known of its upload is forgotten
        near.kill()
        place.link.held = None
        near.start()
        wait_settled(near)
    assert place.link.passed < (20 * min(KILLS, 2) + 2) * MIB
    same(place, near)


@at_one_place
def test_kills_amid_folding_skip_nothing(place, near):
    s3 = client(near)
    before = put_many(near, [f"old{i}" for i in range(100)])
    place.add(near, "--brake-percent", "100")
    wait_settled(near)
    control(near, "PATCH", "/v1/destinations/far", {"fold_entries": 1100, "brake_percent": 100})
    removed = set()
    kills = Kills(near, place, "folding", 0.8, 100000)
    for number in kills:
        near.start()
        cli("destination", "pause", "far", "--data", near.data)
        put_many(near, [f"k{i % 700}" for i in range(1200)])
        for i in kills.chance.sample(range(100), 10):
            s3.delete_object(Bucket=BUCKET, Key=f"old{i}")
            removed.add(f"old{i}")
        cli("destination", "resume", "far", "--data", near.data)
        time.sleep(kills.chance.random() * 0.5)
        near.kill()
    wait_settled(near, seconds=120)
    assert "replicator.fold" in near.log()
    assert len(before) == 100
    same(place, near)
    only_removed(place, *removed)


@at_one_place
def test_kills_amid_seeding_skip_nothing(place, near):
    s3 = client(near)
    put_many(near, [f"old{i}" for i in range(600)])
    s3.put_object(Bucket=BUCKET, Key="large", Body=random.Random(SEED).randbytes(20 * MIB))
    place.link.delay = 0.003
    place.add(near, "--brake-percent", "100")
    kills = Kills(near, place, "seeding", 0.7, 20 * MIB)
    for number in kills:
        near.start()
        s3.delete_object(Bucket=BUCKET, Key=f"old{number * 7}")
        s3.put_object(Bucket=BUCKET, Key=f"old{number * 7 + 1}", Body=b"new")
        near.kill()
    wait_settled(near, seconds=120)
    same(place, near)
    only_removed(place, *(f"old{i * 7}" for i in range(KILLS)))


@at_one_place
def test_kills_while_deletes_are_put_off_neither_lose_nor_hasten_one(place, near):
    s3 = client(near)
    names = [f"k{i}" for i in range(60)]
    put_many(near, names)
    place.add(near, "--brake-percent", "100", "--delete-delay", "4s")
    wait_settled(near)
    gone = {}
    kills = Kills(near, place, "delete delay", 1.0, 1000)
    for number in kills:
        near.start()
        for name in kills.chance.sample(sorted(set(names) - set(gone)), 5):
            s3.delete_object(Bucket=BUCKET, Key=name)
            gone[name] = time.monotonic()
        s3.put_object(Bucket=BUCKET, Key=f"more{number}", Body=b"x")
        back = kills.chance.choice(sorted(gone))
        s3.put_object(Bucket=BUCKET, Key=back, Body=b"back again")
        del gone[back]
        near.kill()
    wait_settled(near)
    now = time.monotonic()
    there = {key.partition("/")[2] for key in place.listing()}
    early = [name for name, at in gone.items() if name not in there and now - at < 3.9]
    assert early == [], "these were to stay some seconds more"
    harness.wait_until("the deletes", lambda: {k for k in place.listing() if not k.startswith(OWN)} ==
                       {f"{BUCKET}/{k}" for k in keys(s3, BUCKET)}, 30)
    same(place, near)
    only_removed(place, *names)
    assert sum(d["lag_entries"] for d in [destination(near)]) == 0
