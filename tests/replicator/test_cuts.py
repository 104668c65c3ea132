"""Cut anywhere: whatever the link's last byte was, what is outside is a consistent past and a usable backup.

    HOLDFAST_CUTS       how many cuts, of each kind at each place (3)
    HOLDFAST_CUT_SEED   draws other instants and other changes (1)
"""

import os
import random
import shutil
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, client, wait_settled
from past import what_is_wrong
from places import PLACES, open_place
from writers import BUCKET, Restic, ResticLoad, Seen, Writers, holdings

CUTS = int(os.environ.get("HOLDFAST_CUTS", "3"))
SEED = os.environ.get("HOLDFAST_CUT_SEED", "1")
# Google takes one change of a key a second, so there are more keys and fewer changes.
PACES = {"google": {"n_keys": 100, "pause": 0.08}}
pytestmark = pytest.mark.timeout(150 + 20 * CUTS)
needs_restic = pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")


@pytest.fixture(params=PLACES)
def place(request):
    with open_place(request.param) as p:
        yield p


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        server.start()
        client(server).create_bucket(Bucket=BUCKET)
        yield server
    finally:
        server.close()


class Cuts:
    """At instants, or in the middle of what passes; each is followed by a look at what is there."""

    def __init__(self, place, kind, most_seconds):
        self.place, self.most_seconds = place, most_seconds
        self.chance = random.Random(f"{SEED}/{kind}/{place.name}")
        self.what = f"at {place.name}, HOLDFAST_CUT_SEED={SEED}"

    def __iter__(self):
        for number in range(CUTS):
            link = self.place.link
            if self.chance.random() < 0.5:
                link.cut_after(self.chance.randrange(1, 1 << self.chance.randrange(10, 21)))
                deadline = time.monotonic() + self.most_seconds
                while not link.is_cut and time.monotonic() < deadline:
                    time.sleep(0.005)
            else:
                time.sleep(self.chance.random() * self.most_seconds)
            link.cut()
            yield number, self.place.frozen()
            link.mend()
            time.sleep(self.chance.choice((0.0, 0.3, 1.0)))


def look_for_a_past(place, writers, kind="model"):
    seen, cuts = Seen(place), Cuts(place, kind, 1.0)
    for number, listed in cuts:
        writers.check()
        wrong = what_is_wrong(writers.history, seen.values(listed))
        assert wrong == [], f"cut {number} {cuts.what}"


def test_at_each_cut_what_is_outside_is_a_consistent_past(place, near):
    place.add(near, "--brake-percent", "100")
    with Writers(near, SEED, **PACES.get(place.name, {"pause": 0.01})) as writers:
        look_for_a_past(place, writers)
    writers.stop()
    wait_settled(near, seconds=90)
    assert Seen(place).values() == holdings(near)
    assert set(place.removed_keys()) <= {f"{BUCKET}/{key}" for key in writers.history.removed()}


@pytest.mark.parametrize("place", ["holdfast"], indirect=True)
def test_without_the_publish_rule_a_cut_finds_no_past(place):
    near = harness.Server(args=[*SCRUB_OFF, "--replicate-unordered"])
    try:
        near.start()
        client(near).create_bucket(Bucket=BUCKET)
        place.add(near, "--brake-percent", "100")
        place.link.delay = 0.02
        with Writers(near, SEED, pause=0.005) as writers, pytest.raises(AssertionError, match="cut "):
            for _ in range(20):
                look_for_a_past(place, writers, "unordered")
        writers.stop()
    finally:
        near.close()


@needs_restic
def test_at_each_cut_what_is_outside_passes_restics_full_check(place, near, tmp_path):
    place.add(near, "--brake-percent", "100")
    here = Restic(f"{BUCKET}/repo", tmp_path / "cache", near)
    here("init")
    repository, kept, found = tmp_path / "outside" / BUCKET / "repo", {}, 0
    cuts = Cuts(place, "restic", 2.0)
    with ResticLoad(here, tmp_path / "source") as load:
        for number, listed in cuts:
            found += check_repository(place, listed, repository, kept, f"cut {number} {cuts.what}")
    load.stop()
    assert found >= CUTS - 2
    wait_settled(near, seconds=90)
    assert check_repository(place, place.frozen(), repository, kept, "in the end")
    assert set(place.frozen()) == {f"{BUCKET}/{key}" for key in holdings(near) if "/locks/" not in key}


def check_repository(place, listed, repository, kept, when):
    """1 if there was one to check."""
    for folder in ("data", "index", "keys", "locks", "snapshots"):
        (repository / folder).mkdir(parents=True, exist_ok=True)
    place.fetch(listed, repository.parent.parent, kept)
    if not (repository / "config").exists():
        return 0
    done = Restic(repository, repository.parent / "no-cache").check()
    assert done.returncode == 0, f"{when}:\n{done.stdout}\n{done.stderr}"
    return 1
