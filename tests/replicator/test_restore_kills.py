"""A new node that is killed whenever it comes back: everything is there in the end, and nothing outside was touched.

    HOLDFAST_KILLS      how many kills (3); with more than ten, at all four places
    HOLDFAST_CUT_SEED   draws other instants (1)
"""

import os
import random
import shutil
import subprocess
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, destination, wait_settled
from places import MIB, PLACES, open_place
from test_restore import complete_keys
from writers import BUCKET, holdings, put_many

KILLS = int(os.environ.get("HOLDFAST_KILLS", "3"))
SEED = os.environ.get("HOLDFAST_CUT_SEED", "1")
pytestmark = pytest.mark.timeout(200 + 20 * KILLS)


@pytest.fixture(params=PLACES if KILLS > 10 else ["holdfast"])
def place(request):
    with open_place(request.param) as p:
        yield p


@pytest.fixture
def stores():
    made = []

    def make():
        made.append(harness.Server(args=SCRUB_OFF).start())
        return made[-1]

    yield make
    for server in made:
        server.close()


def test_kills_amid_a_restore_bring_back_everything_and_change_nothing_outside(place, stores):
    lost = stores()
    client(lost).create_bucket(Bucket=BUCKET)
    place.add(lost)
    put_many(lost, [f"{d}/k{i}" for d in ("backups", "kopia", "z") for i in range(120)])
    client(lost).put_object(Bucket=BUCKET, Key="large", Body=random.Random(SEED).randbytes(20 * MIB))
    wait_settled(lost)
    here, there = holdings(lost), place.frozen()
    lost.kill()
    shutil.rmtree(lost.data)
    lost.sound = False

    fresh, chance = stores(), random.Random(f"{SEED}/{place.name}")
    place.link.delay = 0.004
    place.add(fresh)
    command = [str(harness.BINARY), "restore", "--data", str(fresh.data), "--from", "far", "--take-over"]
    for _ in range(KILLS):
        runner = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.random() * 1.2)
        fresh.kill()
        runner.wait(60)
        fresh.start()
        # An empty store says so or is being restored: it never takes its emptiness for the copy's.
        assert destination(fresh)["state"] != "consistent" or complete_keys(client(fresh), BUCKET) == here.keys()
    place.link.delay = 0
    cli("restore", "--data", fresh.data, "--from", "far", "--take-over", "--json", status=None)  # unless one was begun
    assert complete_keys(client(fresh), BUCKET) == here.keys(), f"HOLDFAST_CUT_SEED={SEED}"
    assert holdings(fresh) == here
    wait_settled(fresh)
    assert place.frozen() == there, "what was outside was touched"
    assert place.removed_keys() == []
