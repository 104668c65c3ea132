"""Bad networks: whatever the link does to requests and answers, the copy comes even by itself, with nothing doubled, and the
status says what is the matter while it lasts.

    HOLDFAST_BAD_NETWORKS   1: every trouble at every place, and the long ones
"""

import os
import shutil
import subprocess
import sys
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, client, destination, wait_settled
from places import HoldfastPlace, open_place
from writers import BUCKET, Seen, Writers, holdings

ALL = os.environ.get("HOLDFAST_BAD_NETWORKS", "0") != "0"
pytestmark = pytest.mark.timeout(240)


class TlsPlace(HoldfastPlace):
    """A second holdfast by TLS, so that the link tears records."""

    name = "holdfast by TLS"

    def __init__(self):
        self.server = harness.Server(args=SCRUB_OFF, tls="self-signed", key_pair=(self.access_key, self.secret_key)).start()
        os.environ["AWS_CA_BUNDLE"] = self.server.ca
        try:
            super(HoldfastPlace, self).__init__(self.server.address, self.server.endpoint)
        finally:
            del os.environ["AWS_CA_BUNDLE"]
        self.link.url = self.link.url.replace("http:", "https:")

    def add(self, near, *options, **how):
        return super().add(near, "--ca-cert", self.server.ca, *options, **how)


def tears(link):
    link.tears = 0.04


def resets(link):
    link.resets = 0.05


def delay(link):
    link.delay = 0.15


def flips(link):
    link.flips = 0.2


def mixed(link):
    link.tears, link.resets, link.delay = 0.02, 0.02, 0.01


def slow(link):
    """1 kB/s for each connection."""
    link.bytes_per_second = 1000


def cuts(link):
    for _ in range(4):
        time.sleep(0.4)
        link.cut()
        time.sleep(0.3)
        link.mend()


def silent(link):
    """The peer takes what comes and says nothing, until our own patience ends."""
    link.black_hole = True
    time.sleep(3)


def calm(link):
    link.tears = link.resets = link.delay = link.flips = 0
    link.bytes_per_second = 0
    link.black_hole = False


# A name in a body of Google's is guarded by TLS alone, and the fakes speak without: no flips there.
FEW = [("holdfast by TLS", tears), ("moto", flips), ("azurite", mixed), ("google", mixed)]
MATRIX = [(place, trouble) for place in ("holdfast", "holdfast by TLS", "moto", "azurite", "google")
          for trouble in (tears, resets, delay, flips, mixed, slow, cuts, silent)
          if (place, trouble.__name__) not in (("google", "flips"), ("holdfast by TLS", "flips"))]


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        server.start()
        client(server).create_bucket(Bucket=BUCKET)
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("name,trouble", MATRIX if ALL else FEW, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_the_copy_comes_even_by_itself(near, name, trouble):
    with TlsPlace() if name == TlsPlace.name else open_place(name) as place:
        place.add(near, "--brake-percent", "100")
        wait_settled(near)
        trouble(place.link)
        writers = Writers(near, 1, n=3, pause=0.08 if name == "google" else 0.02, big=0.0 if trouble is slow else 0.02,
                          n_keys=40 if name == "google" else 8)
        with writers:
            deadline, told = time.monotonic() + (40 if trouble in (slow, silent) else 3), ""
            while time.monotonic() < deadline:
                writers.check()
                now = destination(near)
                told = told or now["last_error"]
                assert now["state"] == "consistent" or now["reason"], now
                if now["lag_entries"] > 0:
                    assert now["watermark"] < now["journal_last"] or not now["lag_entries"], now
                time.sleep(0.2)
        calm(place.link)
        writers.check()
        # Slowness alone is no error, and neither is a cut that fell between requests.
        assert told or trouble in (slow, delay, cuts), "nothing was said of it"
        assert not told or told.rstrip(".") and "\n" not in told and "secret" not in told, told
        wait_settled(near, seconds=150)
        assert Seen(place).values() == holdings(near), told
        assert destination(near)["parked"] == 0
        if trouble is flips:
            assert place.link.flipped > 3


def test_loss_and_duplicates_in_the_kernel(tmp_path):
    """The same by tc, in a network namespace of its own."""
    if not ALL:
        pytest.skip("only at night")
    if os.geteuid() != 0 or not shutil.which("tc") or not shutil.which("unshare"):
        pytest.skip("needs root, unshare and tc")
    lossy = "tc qdisc add dev lo root netem delay 15ms 5ms loss 2% duplicate 1% reorder 5%"
    if subprocess.run(["unshare", "-n", "sh", "-c", f"ip link set lo up && {lossy}"], capture_output=True).returncode != 0:
        pytest.skip("this kernel has no netem")
    done = subprocess.run(["unshare", "-n", "sh", "-c", f"ip link set lo up && {lossy} && exec \"$@\"", "sh", sys.executable, "-m",
                           "pytest", "-q", "-k", "cuts and (holdfast or azurite or google)", __file__], capture_output=True,
                          text=True, timeout=220, env={**os.environ, "HOLDFAST_BAD_NETWORKS": "1"})
    assert done.returncode == 0, done.stdout[-3000:]
