"""Velero and kopia themselves, cut off from the place outside at any instant: what they find there without holdfast, and
what the new node shows them when the old one is lost.

    HOLDFAST_CUTS, HOLDFAST_CUT_SEED   as in test_cuts.py
"""

import os
import random
import shutil
import threading
import time

import pytest

import harness
from conftest import Peer, program_beside_python
from goclients import Kopia, Velero
from holdfasts import SCRUB_OFF, cli, client, destination, wait_settled
from places import PLACES, open_place

CUTS = int(os.environ.get("HOLDFAST_CUTS", "2"))
SEED = os.environ.get("HOLDFAST_CUT_SEED", "1")
KEY_PAIR = ("kurl", "mZ8vE2e-only+secret/0123456789==")
SIZE = 300_000
pytestmark = pytest.mark.timeout(240 + 30 * CUTS)


@pytest.fixture(params=PLACES)
def place(request):
    with open_place(request.param) as p:
        yield p


class Load(threading.Thread):
    """Backups and snapshots made and removed without pause."""

    def __init__(self, velero, kopia, folder):
        super().__init__(daemon=True)
        self.velero, self.kopia, self.folder = velero, kopia, folder
        self.finished, self.doomed = [], set()
        self.stopping, self.failure = False, None
        self.rounds = 0

    def run(self):
        try:
            while not self.stopping:
                self.round()
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure

    def round(self):
        self.rounds += 1
        for i in range(6):
            harness.write_random(self.folder / f"f{(self.rounds * 5 + i) % 20}", 30000 * i + 1000, self.rounds)
        self.kopia("snapshot", "create", self.folder)
        if self.rounds % 3 == 0:
            self.kopia("snapshot", "delete", self.kopia.snapshots()[0], "--delete")
            self.kopia.maintain()
        name = f"nightly-{self.rounds}"
        self.velero("put", name)
        self.velero("finish", name)
        self.finished.append(name)
        if self.rounds % 2 == 0:
            self.doomed.add(self.finished[0])
            self.velero("delete", self.finished.pop(0))

    def stop(self):
        self.stopping = True
        self.join(120)
        self.check()

    def check(self):
        if self.failure is not None:
            raise self.failure


class Outside:
    """What is at the place, served by another program as it is, with nothing of holdfast's about it."""

    access_key, secret_key = KEY_PAIR
    ca = None

    def __init__(self, place, listed, root, kept):
        place.fetch(listed, root, kept)
        for folder in (p for p in root.rglob("*") if p.is_dir() and not any(p.iterdir())):
            shutil.rmtree(folder)  # a folder is nothing in an object store
        self.peer = Peer([program_beside_python("rclone"), "serve", "s3", "--addr", "127.0.0.1:{port}", "--auth-key",
                          ",".join(KEY_PAIR), str(root.parent)])
        self.endpoint = self.peer.url
        self.host = f"127.0.0.1:{self.peer.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()


def look(place, listed, root, kept, scratch, load):
    """The names of the whole backups there. All must be whole, and kopia's repository sound."""
    root.mkdir(parents=True, exist_ok=True)
    with Outside(place, listed, root, kept) as outside:
        velero = Velero(outside, scratch, root.name, size=str(SIZE))
        velero("valid")
        names = [n for n in velero("list") if n not in load.doomed]
        for name in names:
            assert velero("verify", name) == ["Completed"]
        if any(key.startswith("kopia/default/kopia.repository") for key in listed):
            kopia = Kopia(outside, scratch / f"kopia-{outside.peer.port}", root.name)
            kopia.connect()
            kopia.verify()
        return names


def test_what_is_outside_is_whole_at_each_cut_and_comes_back_on_a_new_node(place, tmp_path):
    near = harness.Server(args=SCRUB_OFF).start()
    try:
        client(near).create_bucket(Bucket="velero")
        place.add(near, "--brake-percent", "100", "--source-bucket", "velero")
        velero = Velero(near, tmp_path, "velero", size=str(SIZE))
        kopia = Kopia(near, tmp_path / "kopia", "velero")
        kopia.create()
        velero("put", "late")  # its plugins work on it until the load is over
        load = Load(velero, kopia, tmp_path / "source")
        load.start()
        chance, kept, root = random.Random(f"{SEED}/{place.name}"), {}, tmp_path / "served" / "velero"
        for _ in range(CUTS):
            time.sleep(1 + 2 * chance.random())
            place.link.cut()
            look(place, place.frozen(), root, kept, tmp_path, load)
            load.check()
            place.link.mend()
        load.stop()
        velero("finish", "late")
        wait_settled(near, seconds=90)
        harness.wait_until("every backup outside", lambda: destination(near)["held"] == 0, 60)
        wait_settled(near, seconds=90)
        names, snapshots = velero("list"), kopia.snapshots()
        assert look(place, place.frozen(), root, kept, tmp_path, load) == names == sorted(["late", *load.finished])

        near.kill()
        shutil.rmtree(near.data)
        near.start()
        place.link.asked.clear()
        place.add(near, "--source-bucket", "velero")
        cli("restore", "--data", near.data, "--from", "far", "--take-over")
        velero("valid")
        assert velero("list") == names
        for name in names:
            assert velero("verify", name) == ["Completed"]
        again = Kopia(near, tmp_path / "kopia-again", "velero")
        again.connect()
        again.verify()
        assert again.snapshots() == snapshots
        again("snapshot", "create", load.folder)
        velero("put", "after")
        velero("finish", "after")
        assert place.removed_keys() == []
    finally:
        near.close()
