"""Power cuts: at places spread over a recorded workload, what a cut may leave
is checked, started, and compared with what the clients were told.

    HOLDFAST_CRASH_STATES   how many cuts (300)
    HOLDFAST_CRASH_SEED     another seed draws other cuts (1)
    HOLDFAST_BITE_STATES    how many at most to find one missing sync (120)

A failure prints how to build the same state again; its log is kept in
build/crash/.
"""

import bisect
import concurrent.futures
import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
import crashtools
import harness
import promises
import replay
import verify
import workload

pytestmark = pytest.mark.timeout(0)  # as long as it was told to take

STATES = int(os.environ.get("HOLDFAST_CRASH_STATES", "300"))
BITE_STATES = int(os.environ.get("HOLDFAST_BITE_STATES", "120"))
SEED = os.environ.get("HOLDFAST_CRASH_SEED", "1")
ROUNDS = int(os.environ.get("HOLDFAST_CRASH_ROUNDS", "6"))
KILLS = 4
WORKERS = int(os.environ.get("HOLDFAST_CRASH_WORKERS", os.cpu_count() or 2))
# what a server of a small test may keep in reserve
ARGUMENTS = ()


@contextlib.contextmanager
def serving(data, env=None):
    """A server on DATA that ends as abruptly as the power does."""
    server = harness.Server(args=ARGUMENTS, data=data, env=env)
    try:
        try:
            server.start()
        except harness.ServerFailed as e:
            raise harness.ServerFailed(f"{e}\n{server.tail(2000)}") from None
        yield server
    finally:
        if server.running():
            server.kill()
        harness.LIVE.remove(server)
        server.port.release()
        server.admin_port.release()
        shutil.rmtree(server.own_root, ignore_errors=True)


def run_clients(clients):
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    for client in clients:
        if client.failure:
            raise client.failure


def record(scratch):
    """Runs the workload; the directory it leaves and the log."""
    data, log = scratch / "data", scratch / "log"
    os.mkdir(data)
    preload = crashtools.preload("tests/crash/record.c", scratch.path)
    env = {"LD_PRELOAD": preload,
           "HOLDFAST_RECORD_DIR": data, "HOLDFAST_RECORD_LOG": log,
           "HOLDFAST_RECORD_DELAY_US": "500"}
    marker = replay.Marker(log)
    notes = workload.Notes(marker)
    with serving(data, env) as server:
        marker.mark(ready=1)
        workload.prepare(server, notes)
        run_clients(workload.clients("one", server, notes, ROUNDS))
        server.stop()
    for i in range(KILLS):
        # the process dies, the machine does not: its file system goes on
        with serving(data, env) as server:
            clients = workload.clients(f"two{i}", server, notes, 1000)
            for client in clients:
                client.start()
            time.sleep(0.3)
            server.kill()
            for client in clients:
                client.join()
                if client.failure:
                    raise client.failure
            marker.mark(killed=1)
    with serving(data, env) as server:
        run_clients(workload.clients("three", server, notes, ROUNDS // 2))
        server.stop()
    marker.close()
    return data, log


class Judge:
    """Builds and judges cuts of one log; one in each worker process."""

    def __init__(self, log, scratch, skip=()):
        self.records = replay.load(log)
        self.model = promises.Model(self.records)
        self.disk = replay.Disk(skip=skip)
        self.state = os.path.join(scratch, f"state.{os.getpid()}")

    def wrong(self, number, cut, policy):
        """What is wrong with one state: a list of sentences."""
        for r in self.records[self.disk.index:cut]:
            self.disk.apply(r)
        shutil.rmtree(self.state, ignore_errors=True)
        self.disk.build(self.state, policy, f"{SEED}/{number}")
        try:
            return self.check(cut) or self.serve(cut, number)
        finally:
            shutil.rmtree(self.state, ignore_errors=True)

    def check(self, cut):
        if self.model.ready is None or cut <= self.model.ready:
            return []  # nothing was promised: a server must start, no more
        done = subprocess.run(
            [str(harness.BINARY), "check", self.state, "--read-data"],
            capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            return [f"check exits {done.returncode}: "
                    f"{done.stdout[-2000:]}{done.stderr[-2000:]}"]
        return []

    def serve(self, cut, number):
        try:
            with serving(self.state) as server:
                wrong = verify.Verifier(self.model, cut, server).run()
                if not server.running():
                    wrong.append(f"the server died: {server.tail(2000)}")
        except harness.ServerFailed as e:
            return [f"does not start: {e}"]
        if not wrong and number % 8 == 0:
            wrong = self.check(cut)  # and what start-up repaired is sound
        return wrong


def judge(log, scratch, cuts, skip, at_most):
    """The first AT_MOST bad ones of the cuts, with what is wrong."""
    judge = Judge(log, scratch, skip)
    bad = []
    for number, cut, policy in cuts:
        wrong = judge.wrong(number, cut, policy)
        if wrong:
            bad.append((number, cut, policy, wrong))
            if len(bad) >= at_most:
                break
    return bad


def cuts_of(records, count):
    """COUNT cuts, spread evenly, and behind each start of a server some more.
    The extremes are cycled through, with a random choice between any two."""
    places = crashtools.spread(1, len(records), count)
    for i, r in enumerate(records):
        if r.type == replay.START:
            places += crashtools.spread(i + 1, min(i + 200, len(records)),
                                        count // 20)
    return [(n, cut, replay.EXTREMES[n // 2 % len(replay.EXTREMES)]
             if n % 2 == 0 else "random")
            for n, cut in enumerate(sorted(places))]


def judge_all(log, scratch, cuts, skip=(), at_most=3):
    with concurrent.futures.ProcessPoolExecutor(
            WORKERS, multiprocessing.get_context("fork")) as pool:
        work = [pool.submit(judge, log, scratch.path, cuts[i::WORKERS], skip,
                            at_most)
                for i in range(WORKERS)]
        return [bad for w in work for bad in w.result()]


def report(bad, log):
    kept = crashtools.TOP / "build" / "crash"
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copy(log, kept / "log")
    return "\n".join(
        f"cut before operation {cut}, {policy}:\n  " + "\n  ".join(wrong) +
        f"\n  again: tests/crash/replay.py build/crash/log build {cut} "
        f"{policy} {SEED}/{number} DIRECTORY"
        for number, cut, policy, wrong in bad)


@pytest.fixture(scope="module")
def scratch():
    scratch = crashtools.Scratch("crash")
    yield scratch
    scratch.remove()


@pytest.fixture(scope="module")
def recorded(scratch):
    return record(scratch)


def test_the_recorder_saw_everything(recorded, scratch):
    data, log = recorded
    disk = replay.Disk()
    for r in replay.load(log):
        disk.apply(r)
    disk.build(scratch / "whole", "kept")
    different = replay.differences(scratch / "whole", data)
    shutil.rmtree(scratch / "whole")
    assert disk.blind == []
    assert different == []


def test_nothing_acknowledged_is_lost_and_nothing_else_appears(recorded,
                                                               scratch):
    _, log = recorded
    cuts = cuts_of(replay.load(log), STATES)
    bad = judge_all(log, scratch, cuts)
    if bad:
        pytest.fail(report(bad, log))


# Syncs that no cut can show to be needed, each with the reason.
NOT_SHOWN = {
    "fdatasync:selfcheck": "asks whether the disk can; its file is removed",
    "dsync:index.new/data.mdb": "an index without its first commit is empty",
}


def cuts_behind(places, count, records):
    """COUNT cuts, each behind one of the places of a sync, where its absence
    shows best: at the next acknowledgement, or a little on."""
    acks = [i for i, r in enumerate(records)
            if r.type == replay.MARK and "ack" in replay.mark_of(r)]
    cuts = []
    for i in range(count):
        place = places[i % len(places)]
        cut = place + 2 + (i * 7 + i * i) % 40
        next_ack = bisect.bisect(acks, place + 1)
        if i % 3 != 2 and next_ack < len(acks):
            cut = acks[next_ack] + 1
        cuts.append(min(cut, len(records)))
    policies = ("lost", "random", "lost", "names", "data", "random")
    return [(n, cut, policies[n % len(policies)])
            for n, cut in enumerate(sorted(cuts))]


def test_each_sync_left_out_is_found(recorded, scratch):
    _, log = recorded
    records = replay.load(log)
    disk = replay.Disk()
    for r in records:
        disk.apply(r)
    quiet = {}
    for kind, places in sorted(disk.classes.items()):
        some = [places[i] for i in
                crashtools.spread(0, len(places) - 1,
                                  min(len(places), BITE_STATES))]
        if kind not in NOT_SHOWN and not judge_all(
                log, scratch, cuts_behind(some, BITE_STATES, records),
                skip=[kind], at_most=1):
            quiet[kind] = len(places)
    assert quiet == {}, "these could be left out without a test failing"
