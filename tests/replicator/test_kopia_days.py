"""kopia's maintenance over simulated days, which takes times from the store: here, and on the new node after a loss.

What kopia no longer needs it removes only when the store's times say that it has been so for a day, and it refuses to work
where these do not fit its own clock.
"""

import shutil
from pathlib import Path

import pytest

import harness
from goclients import Kopia
from holdfasts import SCRUB_OFF, cli, client, wait_settled

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
pytestmark = [pytest.mark.timeout(900), pytest.mark.skipif(not FAKETIME.exists(), reason="faketime is not installed")]


class Days:
    """Servers, and kopia with them, that go from one day to the next."""

    def __init__(self, kopia, *servers):
        self.kopia, self.servers, self.now = kopia, servers, 0

    def next(self):
        self.now += 1
        self.kopia.moved(self.now)
        for server in reversed(self.servers):
            server.env.update(LD_PRELOAD=str(FAKETIME), FAKETIME=f"+{self.now}d")
            if server.process is not None:
                server.stop()
            server.start()


def add(near, far):
    cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", far.endpoint, "--region", "us-east-1",
        "--bucket", "outside", "--path", "copies", "--source-bucket", "velero", "--brake-percent", "100", "--access-key-id",
        far.access_key, "--secret-access-key-file", "-", stdin=far.secret_key)


def packs(kopia):
    return {line.split()[0] for line in kopia("blob", "list", "--prefix=p").stdout.splitlines()}


def a_day(kopia, source, number):
    harness.write_random(source / f"f{number % 3}", 3_000_000, number)
    kopia("snapshot", "create", source)
    kopia.maintain("full")


def test_maintenance_finds_the_times_it_wrote_here_and_on_the_new_node(tmp_path):
    near, far = harness.Server(args=SCRUB_OFF).start(), harness.Server(args=SCRUB_OFF).start()
    try:
        client(far).create_bucket(Bucket="outside")
        add(near, far)
        client(near).create_bucket(Bucket="velero")
        kopia, source = Kopia(near, tmp_path / "kopia", "velero"), tmp_path / "source"
        kopia.create()
        kopia("policy", "set", "--global", "--keep-latest=2", "--keep-hourly=0", "--keep-daily=0", "--keep-weekly=0",
              "--keep-monthly=0", "--keep-annual=0")
        days = Days(kopia, near, far)
        a_day(kopia, source, 0)
        first = packs(kopia)
        for number in range(1, 7):
            days.next()
            a_day(kopia, source, number)
        kopia.verify()
        assert first - packs(kopia), "nothing old has gone in a week"
        wait_settled(near)
        snapshots, had = kopia.snapshots(), packs(kopia)

        near.kill()
        shutil.rmtree(near.data)
        days.next()
        add(near, far)
        cli("restore", "--data", near.data, "--from", "far")
        assert kopia.snapshots() == snapshots
        kopia.verify()
        for number in range(7, 10):
            a_day(kopia, source, number)
            days.next()
        assert had - packs(kopia), "nothing old has gone in the days after"
        kopia.verify()
    finally:
        near.close()
        far.close()
