"""A path that another store takes over: the old owner notices, stops and says so, and the two never write at once.

    HOLDFAST_KILLS      how many kills of the new owner (3); with more than ten, at all places whose requests tell their keys
    HOLDFAST_CUT_SEED   draws other instants (1)
"""

import os
import random
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, destination, keys, wait_settled
from places import OWN, open_place
from writers import BUCKET, Seen, Writers, holdings

KILLS = int(os.environ.get("HOLDFAST_KILLS", "3"))
SEED = os.environ.get("HOLDFAST_CUT_SEED", "1")
pytestmark = pytest.mark.timeout(200 + 30 * KILLS)


@pytest.fixture(params=["holdfast", "moto", "azurite"] if KILLS > 10 else ["holdfast"])
def place(request):
    with open_place(request.param) as p:
        yield p


@pytest.fixture
def stores():
    made = []

    def make():
        made.append(harness.Server(args=SCRUB_OFF).start())
        client(made[-1]).create_bucket(Bucket=BUCKET)
        return made[-1]

    yield make
    for server in made:
        server.close()


def changes(link):
    """When each request came that changes something of the copy."""
    return [(at, line) for at, line in link.asked if line.split()[0] in ("PUT", "POST", "DELETE") and OWN not in line]


def test_two_stores_never_write_at_once_whenever_the_new_one_is_killed(place, stores):
    old, new = stores(), stores()
    theirs = place.another_link()
    chance = random.Random(f"{SEED}/{place.name}")
    for i in range(20):
        client(new).put_object(Bucket=BUCKET, Key=f"new{i}", Body=b"of the new one")
    with Writers(old, SEED, pause=0.01) as writers:
        place.add(old, "--brake-percent", "100")
        harness.wait_until("the old one to write", lambda: len(changes(place.link)) > 50, 20)
        place.add(new, "--take-over", "--brake-percent", "100", link=theirs)
        for _ in range(KILLS):
            time.sleep(chance.random() * 2)
            new.kill()
            new.start()
        harness.wait_until("the new one to write", lambda: len(changes(theirs)) > 0, 40)
        first = changes(theirs)[0]
        harness.wait_until("the old one to say so", lambda: destination(old)["state"] == "stopped", 20)
        assert "another store" in destination(old)["reason"]
        wait_settled(new)
    late = [line for at, line in changes(place.link) if at > first[0]]
    assert late == [], f"the old one wrote behind the new one's first request, HOLDFAST_CUT_SEED={SEED}"
    assert Seen(place).values().items() >= holdings(new).items()

    old.kill()
    n = len(changes(place.link))
    old.start()
    client(old).put_object(Bucket=BUCKET, Key="never", Body=b"x")
    harness.wait_until("the old one to say so again", lambda: destination(old)["state"] == "stopped", 20)
    time.sleep(0.5)
    assert len(changes(place.link)) == n and "never" not in Seen(place).values()


def test_without_a_word_a_path_is_not_taken_over(place, stores):
    old, new = stores(), stores()
    client(old).put_object(Bucket=BUCKET, Key="k", Body=b"x")
    client(new).put_object(Bucket=BUCKET, Key="l", Body=b"x")
    place.add(old)
    wait_settled(old)
    said = place.add(new, link=place.another_link(), status=None)
    assert cli("destination", "list", "--data", new.data, "--json").count('"far"') == 0, said
    assert Seen(place).values().keys() == {"k"} == set(keys(client(old), BUCKET))
