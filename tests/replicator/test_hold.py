"""The recovery hold, and the brake: deletes that are kept back until a person says what becomes of them."""

import json
import os
import pty
import shutil
import subprocess
import time

import harness
import pytest
from chaos_proxy import ChaosProxy
from holdfasts import SCRUB_OFF, cli, client, destination, keys, metric, settled, wait_settled

N = 20


class Restored:
    """A store made anew from far, under the hold, and the link between them."""

    def __init__(self, *serve):
        self.far = harness.Server(args=SCRUB_OFF).start()
        self.link = ChaosProxy(self.far.address, seed=1).__enter__()
        self.there = client(self.far)
        self.there.create_bucket(Bucket="outside")
        self.made = [self.far]
        lost = self.server()
        s3 = client(lost)
        s3.create_bucket(Bucket="bucket")
        for i in range(N):
            s3.put_object(Bucket="bucket", Key=f"k{i}", Body=bytes([i]) * 3000, Metadata={"i": str(i)})
        wait_settled(lost)
        lost.kill()
        shutil.rmtree(lost.data)
        lost.sound = False
        self.near = self.server(*serve)
        cli("restore", "--data", self.near.data, "--from", "far", "--wait", "--take-over")
        self.s3 = client(self.near)

    def server(self, *serve):
        server = harness.Server(args=[*SCRUB_OFF, *serve]).start()
        self.made.append(server)
        cli("destination", "add", "far", "--data", server.data, "--provider", "s3", "--endpoint", self.link.url, "--bucket", "outside",
            "--path", "copies", "--access-key-id", self.far.access_key, "--secret-access-key-file", "-", stdin=self.far.secret_key)
        return server

    def delete(self, *numbers):
        for i in numbers:
            self.s3.delete_object(Bucket="bucket", Key=f"k{i}")
        harness.wait_until("the deletes to be kept back", lambda: self.hold()["kept_back"] >= len(numbers), 30)
        wait_settled(self.near)

    def hold(self):
        return json.loads(cli("hold", "--data", self.near.data, "--json"))

    def end(self, *options):
        return subprocess.run([str(harness.BINARY), "hold", "end", "--data", str(self.near.data), *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def outside(self):
        return {k.removeprefix("copies/bucket/") for k in keys(self.there, "outside", "copies/bucket/")}

    def here(self):
        return set(keys(self.s3, "bucket"))

    def close(self):
        failure = None
        self.link.close()
        for server in self.made:
            try:
                server.close()
            except AssertionError as e:
                failure = failure or e
        if failure:
            raise failure


@pytest.fixture
def restored():
    made = []

    def make(*serve):
        made.append(Restored(*serve))
        return made[-1]

    yield make
    for r in made:
        r.close()


ALL = {f"k{i}" for i in range(N)}


def test_the_end_of_the_hold_asks_and_sends_what_was_kept_back_also_over_a_restart(restored):
    r = restored()
    r.delete(1, 2)
    assert r.hold()["days"] == 7 and r.hold()["active"]
    r.near.restart()
    wait_settled(r.near)
    hold = r.hold()
    assert hold["active"] and hold["kept_back"] == 2 and {k["key"] for k in hold["kept"]} == {"k1", "k2"}
    assert "bucket/k1 at far until 20" in cli("hold", "--data", r.near.data)
    assert "2 deletes are kept back" in cli("status", "--data", r.near.data)
    said = json.loads(cli("status", "--data", r.near.data, "--json"))["hold"]
    assert said["active"] and said["kept_back"] == 2 and said["since"].startswith("20")
    assert destination(r.near)["kept_back"] == 2 and metric(r.near, "destination_kept_back_deletes", '{destination="far"}') == 2
    assert metric(r.near, "recovery_hold") == 1
    done = r.end()
    assert done.returncode == 2 and "2 deletes are kept back" in done.stderr and "--kept" in done.stderr
    assert r.hold()["active"] and r.outside() == ALL
    assert r.end("--kept", "send").returncode == 0
    harness.wait_until("the deletes", lambda: r.outside() == ALL - {"k1", "k2"}, 30)
    harness.wait_until("none kept", lambda: r.hold()["kept_back"] == 0, 30)
    assert not r.hold()["active"] and r.here() == ALL - {"k1", "k2"}
    # And later ones follow at once.
    r.s3.delete_object(Bucket="bucket", Key="k3")
    harness.wait_until("the delete", lambda: "k3" not in r.outside(), 30)
    assert metric(r.near, "recovery_hold") == 0


def test_what_was_kept_back_comes_back_when_the_hold_ends_with_drop(restored):
    r = restored()
    r.delete(*range(10))
    assert r.end("--kept", "drop").returncode == 0
    assert r.here() == r.outside() == ALL
    assert r.s3.get_object(Bucket="bucket", Key="k7")["Body"].read() == bytes([7]) * 3000
    assert r.s3.head_object(Bucket="bucket", Key="k7")["Metadata"] == {"i": "7"}
    assert r.hold() == {**r.hold(), "active": False, "kept_back": 0, "kept": []}
    r.near.restart()
    wait_settled(r.near)
    assert r.outside() == ALL and destination(r.near)["deletes"] == 0
    log = json.loads(cli("destination", "log", "--json", "--data", r.near.data))["changes"]
    assert [c["what"] for c in log][-11:] == ["hold.undelete"] * 10 + ["hold.end"]
    assert log[-2]["detail"]["bucket"] == "bucket"


def test_a_delete_goes_when_its_time_has_come_by_the_setting(restored):
    r = restored("--hold-time", "4s")
    assert r.hold()["keep_seconds"] == 4
    began = time.monotonic()
    r.s3.delete_object(Bucket="bucket", Key="k5")
    harness.wait_until("the delete", lambda: "k5" not in r.outside(), 60)
    assert time.monotonic() - began > 3.9 and r.hold()["active"]
    # Those that are to wait do so, though the hold has ended.
    r.near.args[-1] = "8s"
    r.near.restart()
    began = time.monotonic()
    r.delete(6)
    assert r.end("--kept", "wait").returncode == 0 and not r.hold()["active"]
    harness.wait_until("the delete", lambda: "k6" not in r.outside(), 60)
    assert time.monotonic() - began > 7.5


def test_an_undelete_that_cannot_reach_the_place_keeps_the_delete_back(restored):
    r = restored()
    r.delete(1)
    r.link.cut()
    assert subprocess.run([str(harness.BINARY), "hold", "undelete", "bucket/k1", "--data", str(r.near.data)], capture_output=True,
                          timeout=120).returncode == 1
    harness.wait_until("it to be kept back again", lambda: r.hold()["kept_back"] == 1, 30)
    r.link.mend()
    deadline = time.monotonic() + 60
    while cli("hold", "undelete", "bucket/k1", "--data", r.near.data, status=None) is None or "k1" not in r.here():
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert r.s3.get_object(Bucket="bucket", Key="k1")["Body"].read() == bytes([1]) * 3000
    assert "no delete" in subprocess.run([str(harness.BINARY), "hold", "undelete", "bucket/k1", "--data", str(r.near.data)],
                                         capture_output=True, text=True).stderr


# ---- the brake, and deletes that are put off by a setting ----

@pytest.fixture
def pair():
    near, far = harness.Server(args=SCRUB_OFF), harness.Server(args=SCRUB_OFF)
    try:
        yield near.start(), far.start()
    finally:
        near.close()
        far.close()


def fill(near, far, *options, n=400):
    client(far).create_bucket(Bucket="outside")
    cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", far.endpoint, "--bucket", "outside", "--path",
        "copies", "--access-key-id", far.access_key, "--secret-access-key-file", "-", *options, stdin=far.secret_key)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    for i in range(n):
        s3.put_object(Bucket="bucket", Key=f"k{i:04}", Body=b"x")
    wait_settled(near)
    return s3


def delete_many(s3, numbers):
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": f"k{i:04}"} for i in numbers]})


def outside(far):
    return set(keys(client(far), "outside", "copies/bucket/"))


def resume(near, *options):
    return subprocess.run([str(harness.BINARY), "destination", "resume", "far", "--data", str(near.data), *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def test_the_brake_holds_an_unusual_batch_of_deletes_before_its_first_leaves(pair):
    near, far = pair
    s3 = fill(near, far)
    before = outside(far)
    delete_many(s3, range(50))  # a usual share
    harness.wait_until("these", lambda: len(outside(far)) == 350, 30)
    # Paused by a person or cut off meanwhile, the batch is seen whole.
    cli("destination", "pause", "far", "--data", near.data)
    for start in range(50, 250, 20):
        delete_many(s3, range(start, start + 20))
    harness.wait_until("the brake", lambda: "deleted within an hour" in destination(near)["reason"], 30)
    assert resume(near).returncode == 1
    assert len(outside(far)) == 350, "some of the batch have left"
    reason = destination(near)["reason"]
    assert "of 400 objects were deleted within an hour" in reason and "--accept-deletes" in reason
    assert reason in cli("destination", "list", "--data", near.data)
    assert metric(near, "destination_paused", '{destination="far"}') == 1
    s3.put_object(Bucket="bucket", Key="new", Body=b"y")
    near.restart()
    assert destination(near)["state"] == "paused"
    done = resume(near)
    assert done.returncode == 1 and "--accept-deletes" in done.stderr and destination(near)["state"] == "paused"
    # A person's pause over it is not the way around the question.
    cli("destination", "pause", "far", "--data", near.data)
    assert resume(near).returncode == 1
    assert resume(near, "--accept-deletes").returncode == 0
    wait_settled(near)
    assert outside(far) == {k for k in before if k >= "copies/bucket/k0250"} | {"copies/bucket/new"}
    log = json.loads(cli("destination", "log", "--json", "--data", near.data))["changes"]
    assert log[-1]["what"] == "destination.resume" and log[-1]["detail"] == {"accept_deletes": True}


def test_resume_asks_on_a_terminal(pair):
    near, far = pair
    s3 = fill(near, far, "--brake-percent", "10", n=200)
    delete_many(s3, range(150))
    harness.wait_until("the brake", lambda: destination(near)["state"] == "paused", 30)
    assert len(outside(far)) == 200, "some of the one request's have left"
    for answer, state in ((b"n\n", "paused"), (b"y\n", "consistent")):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([str(harness.BINARY), "destination", "resume", "far", "--data", str(near.data)], stdin=theirs,
                                   stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 1000)
        os.write(ours, answer)
        assert process.wait(30) == (1 if state == "paused" else 0)
        os.close(ours)
        assert b"objects were deleted within an hour" in said
        assert destination(near)["state"] == state
    harness.wait_until("the deletes", lambda: len(outside(far)) == 50, 30)


def test_deletes_are_put_off_and_the_brake_keeps_all_of_them(pair):
    """With a delay none of an unusual number has left when the brake acts, however slowly they came."""
    near, far = pair
    s3 = fill(near, far, "--delete-delay", "3s", n=300)
    began = time.monotonic()
    s3.delete_object(Bucket="bucket", Key="k0000")
    harness.wait_until("the delete", lambda: len(outside(far)) == 299, 60)
    assert time.monotonic() - began > 2.9
    cli("destination", "set", "far", "--data", near.data, "--delete-delay", "1h")
    for i in range(1, 140):
        s3.delete_object(Bucket="bucket", Key=f"k{i:04}")
    harness.wait_until("the brake", lambda: destination(near)["state"] == "paused", 30)
    assert len(outside(far)) == 299


# ---- folding, schedule, bandwidth ----

def test_a_backlog_that_is_folded_is_called_catching_up_and_not_safe(pair):
    near, far = pair
    s3 = fill(near, far, "--brake-percent", "100", n=20)
    cli("destination", "pause", "far", "--data", near.data)
    # A folding limit is no option: it is for the control API.
    for i in range(1500):
        s3.put_object(Bucket="bucket", Key=f"k{i % 700:04}", Body=b"z" * (1 + i))
    far.stop()
    control(near, "PATCH", "/v1/destinations/far", {"fold_entries": 1100})
    cli("destination", "resume", "far", "--data", near.data)
    harness.wait_until("the folding", lambda: destination(near)["state"] == "catching up", 30)
    d = destination(near)
    assert d["safe_until"] is None
    assert "not yet" in cli("destination", "list", "--data", near.data)
    assert metric(near, "destination_catching_up", '{destination="far"}') == 1
    assert s3.head_object(Bucket="bucket", Key="k0001")["ResponseMetadata"]["HTTPHeaders"]["x-amz-replication-status"] == "PENDING"
    far.start()
    wait_settled(near, seconds=120)
    assert destination(near)["safe_until"] and len(outside(far)) == 700


def control(near, method, path, body):
    import http.client
    import socket
    connection = http.client.HTTPConnection("holdfast")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(near.data / "control.sock"))
    connection.request(method, path, json.dumps(body))
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status < 300, text


def test_nothing_is_sent_outside_the_hours_of_a_schedule(pair):
    near, far = pair
    # Twelve hours from now, and a zone that is not this machine's: hours of a day somewhere else.
    hour = (time.gmtime().tm_hour + 9 + 6) % 24  # Tokyo is at UTC+9
    s3 = fill(near, far, n=1)
    cli("destination", "set", "far", "--data", near.data, "--window", f"{hour:02}:00-{(hour + 6) % 24:02}:00 Asia/Tokyo")
    s3.put_object(Bucket="bucket", Key="waits", Body=b"x")
    time.sleep(1)
    d = destination(near)
    assert d["reason"] == "outside its schedule" and d["lag_entries"] == 1 and len(outside(far)) == 1
    assert "outside its schedule" in cli("destination", "list", "--data", near.data)
    hour = time.gmtime().tm_hour + 9
    cli("destination", "set", "far", "--data", near.data, "--window", f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00 Asia/Tokyo")
    wait_settled(near)
    assert len(outside(far)) == 2 and destination(near)["reason"] == ""
    done = subprocess.run([str(harness.BINARY), "destination", "set", "far", "--data", str(near.data), "--window", "25:00-26:00 Nowhere"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "window" in done.stderr


def test_no_more_is_sent_than_the_limit_says(pair):
    near, far = pair
    s3 = fill(near, far, "--bytes-per-second", "1MiB", n=1)
    began = time.monotonic()
    for i in range(4):
        s3.put_object(Bucket="bucket", Key=f"big{i}", Body=os.urandom(1 << 20))
    harness.wait_until("an estimate", lambda: (destination(near)["estimate_seconds"] or 0) > 0 or settled(near), 30)
    wait_settled(near)
    assert time.monotonic() - began > 2.5
    cli("destination", "set", "far", "--data", near.data, "--bytes-per-second", "0")
    began = time.monotonic()
    for i in range(64):
        s3.put_object(Bucket="bucket", Key=f"more{i}", Body=os.urandom(1 << 20))
    wait_settled(near)
    assert time.monotonic() - began < 50
