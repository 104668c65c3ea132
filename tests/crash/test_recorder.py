"""The recorder and the replayer, proven on a store of one page (toy.c)."""

import os
import random
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import crashtools
import replay


class Recorded:
    """One run of the toy, its log, and the model of what it answered."""

    def __init__(self, scratch):
        self.toy = crashtools.compiled("tests/crash/toy.c", scratch / "toy",
                                  "-llmdb")
        so = crashtools.preload("tests/crash/record.c", scratch.path)
        self.data, self.log = scratch / "data", scratch / "log"
        os.mkdir(self.data)
        env = dict(os.environ, LD_PRELOAD=so, HOLDFAST_RECORD_DIR=self.data,
                   HOLDFAST_RECORD_LOG=self.log)
        marker = replay.Marker(self.log)
        rng = random.Random(1)
        child = subprocess.Popen([self.toy, "serve", self.data], env=env,
                                 stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        for seed in range(1, 81):
            key = f"key{rng.randint(0, 19)}"
            size = rng.choice((10, 3000, 9000, 70000))
            marker.mark(intent=seed, key=key)
            child.stdin.write(f"{key} {seed} {size}\n")
            child.stdin.flush()
            assert child.stdout.readline() == f"{key} {seed}\n"
            marker.mark(ack=seed, key=key)
        child.stdin.close()
        assert child.wait() == 0
        child.stdout.close()
        marker.close()
        self.records = replay.load(self.log)
        self.marks = [(i, replay.mark_of(r)) for i, r in
                      enumerate(self.records) if r.type == replay.MARK]

    def legal(self, index):
        """For each key, the seeds that a cut at INDEX may leave."""
        legal = {}
        for i, mark in self.marks:
            if i >= index:
                break
            if "ack" in mark:
                legal[mark["key"]] = {str(mark["ack"])}
            else:
                legal.setdefault(mark["key"], {None}).add(
                    str(mark["intent"]))
        return legal

    def bad(self, state, index):
        """What is wrong with a state, or None."""
        check = subprocess.run([self.toy, "check", state], text=True,
                               capture_output=True)
        if check.returncode != 0:
            return check.stderr or f"exit {check.returncode}"
        found = dict(line.split() for line in check.stdout.splitlines())
        for key, seeds in self.legal(index).items():
            if found.get(key) not in seeds:
                return f"{key} is {found.get(key)}, not of {seeds}"
        return None

    def run(self, scratch, count, skip=()):
        """The first bad state of COUNT, and the kinds of sync that were."""
        first = self.marks[1][0]  # the toy promises nothing before
        disk = replay.Disk(skip=skip)
        done, bad = 0, None
        places = crashtools.spread(first, len(self.records), count)
        for n, index in enumerate(places):
            for r in self.records[done:index]:
                disk.apply(r)
            done = max(done, index)
            policy = (replay.EXTREMES[n // 2 % 4] if n % 2 == 0
                      else "random")
            disk.build(scratch / "state", policy, n)
            bad = self.bad(scratch / "state", index)
            subprocess.run(["rm", "-rf", scratch / "state"], check=True)
            if bad:
                bad = f"cut at {index}, {policy} {n}: {bad}"
                break
        return bad, disk


@pytest.fixture(scope="module")
def scratch():
    scratch = crashtools.Scratch("recorder")
    yield scratch
    scratch.remove()


@pytest.fixture(scope="module")
def recorded(scratch):
    return Recorded(scratch)


def test_everything_kept_is_the_directory_itself(recorded, scratch):
    disk = replay.Disk()
    for r in recorded.records:
        disk.apply(r)
    disk.build(scratch / "whole", "kept")
    assert disk.blind == []
    assert replay.differences(scratch / "whole", recorded.data) == []


def test_a_store_that_syncs_survives_every_cut(recorded, scratch):
    bad, disk = recorded.run(scratch, 400)
    assert bad is None
    assert set(disk.classes) == {
        "fsync:/", "fsync:index/", "fsync:extents/", "fsync:extents/N/",
        "fdatasync:(nameless)", "fdatasync:index/data.mdb",
        "dsync:index/data.mdb"}


@pytest.mark.parametrize("skip", [
    "fsync:/", "fsync:index/", "fsync:extents/", "fsync:extents/N/",
    "fdatasync:(nameless)", "fdatasync:index/data.mdb",
    "dsync:index/data.mdb"])
def test_a_store_without_one_of_its_syncs_is_found_out(recorded, scratch,
                                                       skip):
    bad, disk = recorded.run(scratch, 400, skip=[skip])
    assert disk.skipped > 0
    assert bad is not None


def test_the_same_seed_builds_the_same_state(recorded, scratch):
    disk = replay.Disk()
    for r in recorded.records[:len(recorded.records) // 2]:
        disk.apply(r)
    disk.build(scratch / "one", "random", 7)
    disk.build(scratch / "two", "random", 7)
    assert replay.differences(scratch / "one", scratch / "two", ()) == []
