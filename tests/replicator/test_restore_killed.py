"""A restore that is cut off: by kill -9 at any step, by the place going away, and with other destinations beside."""

import os
import random
import threading
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, destination, keys, metric, wait_settled
from places import OWN, open_place
from test_node_loss import lose, progress, restore
from test_restore import complete_keys

KILLS = int(os.environ.get("HOLDFAST_KILLS", "5"))
PLACES = os.environ.get("HOLDFAST_RESTORE_PLACES", "holdfast").split()
pytestmark = pytest.mark.timeout(100 + 15 * KILLS)
MIB = 1 << 20


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(params=PLACES)
def place(request):
    with open_place(request.param) as p:
        yield p


def fill(near, n, large=0):
    s3, bodies = client(near), {}
    s3.create_bucket(Bucket="bucket")
    for i in range(n):
        bodies[f"k{i:04}"] = f"body {i}".encode() * (1 + i % 50)
    for i in range(large):
        bodies[f"large{i}"] = random.Random(i).randbytes(6 * MIB)
    for key, body in bodies.items():
        s3.put_object(Bucket="bucket", Key=key, Body=body, Metadata={"of": key})
    wait_settled(near)
    return bodies


def in_background(near, place):
    """The command; it ends as it likes, for the server may be killed under it."""
    runner = threading.Thread(target=lambda: place.add(near, "--take-over", command=("restore", "--from", "far"), status=None))
    runner.start()
    return runner


def owner_puts(place):
    return [line for line in place.written() if OWN + "owner.json" in line.replace("%2F", "/")]


def whole(near, bodies):
    s3 = client(near)
    assert complete_keys(s3, "bucket") == set(bodies)
    for key, body in bodies.items():
        o = s3.get_object(Bucket="bucket", Key=key)
        assert o["Body"].read() == body and o["Metadata"] == {"of": key}, key


def test_a_restore_that_is_killed_at_any_step_goes_on(near, place):
    place.add(near)
    bodies = fill(near, 500, large=6)
    there = place.listing()
    lose(near, place)
    chance = random.Random(KILLS)
    place.link.delay = 0.002
    runner = in_background(near, place)
    harness.wait_until("the path to be taken", lambda: place.written(), 30)
    steps = ["taken"] + ["known"] * (KILLS // 2) + ["filled"] * (KILLS - KILLS // 2 - 1)
    seen = set()
    for step in steps:
        before = metric(near, "objects") or 0
        if step == "known":
            harness.wait_until("more objects", lambda: (metric(near, "objects") or 0) >= min(before + 60, 506), 30)
        elif step == "filled":
            place.link.bytes_per_second = 8 * MIB
            harness.wait_until("the fill", lambda: progress(near)["known_all"], 60)
            time.sleep(chance.random() / 2)
        near.kill()
        seen.add(step)
        near.start()
        harness.wait_until("the restore", lambda: progress(near)["active"], 10)
        try:
            assert set(keys(client(near), "bucket")) == set(bodies), "a listing lacks nothing"
        except client(near).exceptions.ClientError as e:
            assert e.response["Error"]["Code"] == "SlowDown"
    runner.join(60)
    place.link.delay = place.link.bytes_per_second = 0
    harness.wait_until("all to be here", lambda: progress(near)["done"] or not progress(near)["active"], 60)
    whole(near, bodies)
    wait_settled(near)
    assert metric(near, "objects") == len(bodies)
    assert place.removed_keys() == []
    assert len(place.written()) <= KILLS + 1, "nothing but whose path it is"
    now = place.listing()
    assert {k for k in there.keys() | now.keys() if there.get(k) != now.get(k)} <= {OWN + "owner.json"}


def test_a_place_that_goes_away_is_waited_for(near):
    with open_place("holdfast") as place:
        place.add(near)
        bodies = fill(near, 800)
        lose(near, place)
        place.link.delay = 0.004
        runner = in_background(near, place)
        harness.wait_until("the beginning", lambda: (metric(near, "objects") or 0) > 20, 30)
        place.link.cut()
        s3 = client(near)
        for ask in (lambda: s3.list_objects_v2(Bucket="bucket"), lambda: s3.head_object(Bucket="bucket", Key="k0799"),
                    lambda: s3.get_object(Bucket="bucket", Key="never there"),
                    lambda: s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k0799"),
                    lambda: s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "k0798"}]}),
                    lambda: s3.put_object(Bucket="bucket", Key="k0797", Body=b"")):
            with pytest.raises(s3.exceptions.ClientError) as refusal:
                ask()
            told = refusal.value.response["ResponseMetadata"]
            assert told["HTTPStatusCode"] == 503 and told["HTTPHeaders"]["retry-after"]
        assert s3.get_bucket_versioning(Bucket="bucket")["ResponseMetadata"]["HTTPStatusCode"] == 200
        harness.wait_until("the reason", lambda: progress(near)["error"] != "", 30)
        place.link.mend()
        place.link.delay = 0
        with pytest.raises(s3.exceptions.ClientError) as missing:
            s3.head_object(Bucket="bucket", Key="never there")
        assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        runner.join(60)
        whole(near, bodies)


def test_of_two_places_that_hold_data_one_is_restored_from_and_the_other_is_not_touched_until_taken_over(near):
    with open_place("holdfast") as place, open_place("holdfast") as second:
        place.add(near)
        second.add(near, command=("destination", "add", "second"))
        bodies = fill(near, 200)
        wait_settled(near, "second")
        lose(near, place)
        place.add(near)
        second.add(near, command=("destination", "add", "second"))
        harness.wait_until("both to wait", lambda: {destination(near, n)["state"] for n in ("far", "second")} == {"stopped"}, 20)
        second.link.asked.clear()
        cli("restore", "--data", near.data, "--from", "far", "--take-over", "--wait")
        whole(near, bodies)
        wait_settled(near)
        harness.wait_until("the other's reason", lambda: "another store" in destination(near, "second")["reason"], 20)
        assert second.written() == []
        cli("destination", "remove", "second", "--data", near.data)
        second.add(near, "--take-over", command=("destination", "add", "second"))
        wait_settled(near, "second")
        assert second.removed_keys() == [] and place.removed_keys() == []
        assert len(second.written()) == 1, "what is there already is not sent again"


def test_what_is_outside_alone_comes_back_when_the_index_is_lost_too(near):
    """Such objects have no file here: a rebuild says so, and a restore on an empty directory brings them back."""
    with open_place("holdfast") as place:
        place.add(near)
        bodies = fill(near, 60, large=1)
        lose(near, place)
        place.link.bytes_per_second = MIB // 2  # so that little is here yet
        restore(near, place)
        near.kill()
        place.link.bytes_per_second = 0
        for name in ("data.mdb", "lock.mdb"):
            (near.data / "index" / name).unlink()
        assert "`holdfast restore` on an empty data directory" in cli("rebuild", near.data, status=None)
        near.data.rename(near.data.with_suffix(".old"))
        near.start()
        restore(near, place, "--wait")
        whole(near, bodies)
        wait_settled(near)
        assert place.removed_keys() == [] and len(place.written()) == 2
