"""What a person or a script sees: how far the copy is, until when it is safe, what is verified; metrics and alert rules."""

import datetime
import json
import os
import pty
import random
import re
import subprocess
import time

import harness
import pytest
import yaml
from azure_peers import ACCOUNT, KEY, azurite, container, front  # noqa: F401
from chaos_proxy import ChaosProxy
from holdfasts import SCRUB_OFF, cli, client, destination, keys, metric, settled, wait_settled
from s3_chaos import S3Chaos

ALERTS = harness.TOP / "deploy/prometheus-alerts.yaml"


@pytest.fixture
def pair():
    """Two holdfasts, and the link between them."""
    near, far = harness.Server(args=SCRUB_OFF), harness.Server(args=SCRUB_OFF)
    try:
        near.start(), far.start()
        with ChaosProxy(far.address, seed=1) as link:
            client(far).create_bucket(Bucket="outside")
            client(near).create_bucket(Bucket="bucket")
            cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", link.url, "--bucket", "outside",
                "--path", "copies", "--access-key-id", far.access_key, "--secret-access-key-file", "-", stdin=far.secret_key)
            yield near, far, link
    finally:
        far.sound = near.sound = near.sound and far.sound
        near.close()
        far.close()


def ms(text):
    return datetime.datetime.fromisoformat(text).timestamp() * 1000


def now_ms():
    return time.time() * 1000


def backups(near):
    return {b["name"]: b for b in json.loads(cli("backup", "list", "--data", near.data, "--json"))["backups"]}


# ---- the clock ----

def test_a_clock_that_is_twenty_minutes_off_is_measured_and_corrected_with_s3():
    near = harness.Server(args=SCRUB_OFF)
    try:
        near.start()
        with S3Chaos() as fake:
            fake.clock_offset = 20 * 60
            cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", fake.url, "--bucket", fake.bucket,
                "--access-key-id", fake.ACCESS_KEY, "--secret-access-key", fake.SECRET_KEY)
            see_clock(near, 20 * 60)
            fake.clock_offset = -20 * 60
            see_clock(near, -20 * 60, key="back")
            assert b"bucket/back" in fake.objects
    finally:
        near.close()


def test_a_clock_that_is_twenty_minutes_off_is_measured_and_corrected_with_azure(azurite, front, container):  # noqa: F811
    near = harness.Server(args=SCRUB_OFF)
    try:
        near.start()
        front.clock_offset = 20 * 60
        cli("destination", "add", "far", "--data", near.data, "--provider", "azure", "--endpoint", front.blob_url(), "--bucket", container,
            "--storage-account", ACCOUNT, "--account-key-file", "-", stdin=KEY)
        see_clock(near, 20 * 60)
    finally:
        near.close()


def see_clock(near, seconds, key="k"):
    s3 = client(near)
    if not s3.list_buckets()["Buckets"]:
        s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key=key, Body=b"x")
    wait_settled(near, seconds=90)
    d = destination(near)
    assert abs(d["clock_offset_ms"] - seconds * 1000) < 5000
    assert abs(metric(near, "destination_clock_offset_seconds", '{destination="far"}') - seconds) < 5
    said = re.search(r"theirs is ([+-]\d+) s from this machine's", cli("destination", "list", "--data", near.data))
    assert abs(int(said.group(1)) - seconds) < 5


# ---- until when it is safe ----

def test_safe_until_never_passes_the_oldest_change_that_is_not_outside(pair):
    """The link is cut; whatever is written then, and whenever one looks, the time stays before the first of it."""
    near, far, link = pair
    s3 = client(near)
    s3.put_object(Bucket="bucket", Key="before", Body=b"x")
    wait_settled(near)
    before = now_ms()
    harness.wait_until("the time to go on", lambda: ms(destination(near)["safe_until"]) >= before, 10)
    link.cut()
    # The first change and a look at once: nobody had time to notice it.
    for i in range(20):
        s3.put_object(Bucket="bucket", Key=f"k{i}", Body=b"x" * 1000)
        acknowledged = now_ms()
        d = destination(near)
        if i == 0:
            first = acknowledged
        assert ms(d["safe_until"]) < first, i
    time.sleep(0.5)
    d = destination(near)
    assert ms(d["safe_until"]) < first and d["lag_ms"] >= 400 and d["lag_entries"] == 20
    near.restart()
    d = destination(near)
    assert ms(d["safe_until"]) < first and d["lag_entries"] >= 20
    assert "no telling" in cli("destination", "list", "--data", near.data)
    link.mend()
    wait_settled(near, seconds=90)
    assert ms(destination(near)["safe_until"]) > first
    assert len(keys(client(far), "outside", "copies/bucket/")) == 21


def test_safe_until_stays_before_a_backup_that_is_held_back(pair):
    near, far, link = pair
    s3 = client(near)
    began = now_ms()
    s3.put_object(Bucket="bucket", Key="backups/one/velero-backup.json", Body=b'{"status": {"phase": "InProgress"}}')
    first = now_ms()
    s3.put_object(Bucket="bucket", Key="backups/one/one-logs.gz", Body=b"x")
    harness.wait_until("all but the json", lambda: settled(near), 30)
    assert destination(near)["held"] == 1 and ms(destination(near)["safe_until"]) < first
    s3.put_object(Bucket="bucket", Key="backups/one/velero-backup.json", Body=b'{"status": {"phase": "InProgress"}, "x": 1}')
    near.restart()
    harness.wait_until("the held one", lambda: settled(near) and destination(near)["held"] == 1, 30)
    assert ms(destination(near)["safe_until"]) < first
    s3.put_object(Bucket="bucket", Key="backups/one/one.tar.gz", Body=b"x")
    s3.put_object(Bucket="bucket", Key="backups/one/velero-backup.json", Body=b'{"status": {"phase": "Completed"}}')
    harness.wait_until("the backup", lambda: destination(near)["held"] == 0, 30)
    assert ms(destination(near)["safe_until"]) > first > began


# ---- what is verified ----

def put_backup(s3, name, big=0):
    put = [(f"{name}-logs.gz", b"l" * 1000), (f"{name}.tar.gz", random.Random(name).randbytes(big or 5000)),
           ("velero-backup.json", b'{"status": {"phase": "Completed"}}')]
    for key, body in put:
        s3.put_object(Bucket="bucket", Key=f"backups/{name}/{key}", Body=body)


def test_a_backup_is_verified_by_an_audit_until_something_of_it_changes(pair):
    near, far, link = pair
    s3 = client(near)
    put_backup(s3, "one")
    put_backup(s3, "two", big=20 << 20)
    harness.wait_until("the backups", lambda: [b["destinations"]["far"] for b in backups(near).values()] == ["outside"] * 2, 60)
    wait_settled(near)
    began = now_ms()
    said = json.loads(cli("audit", "far", "--data", near.data, "--json"))
    # Its parts have no checksum over all of it: it was read.
    assert said["bytes_read"] >= 20 << 20 and said["different"] == 0
    for b in backups(near).values():
        assert b["destinations"]["far"] == "verified" and b["verified"]["far"]["by"] == "checksums"
        assert ms(b["verified"]["far"]["at"]) >= began - 1
    # It need not be read again.
    assert json.loads(cli("audit", "far", "--data", near.data, "--json"))["bytes_read"] == 0
    near.restart()
    assert backups(near)["two"]["destinations"]["far"] == "verified"
    s3.put_object(Bucket="bucket", Key="backups/one/one-logs.gz", Body=b"l" * 1000)
    wait_settled(near)
    assert {n: b["destinations"]["far"] for n, b in backups(near).items()} == {"one": "outside", "two": "verified"}
    cli("audit", "far", "--data", near.data, "--read-data")
    assert backups(near)["one"]["verified"]["far"]["by"] == "reading"
    assert "verified at 20" in cli("backup", "list", "--data", near.data)


def test_a_backup_that_is_found_damaged_is_not_verified_any_more(pair):
    near, far, link = pair
    s3, there = client(near), client(far)
    put_backup(s3, "one")
    put_backup(s3, "two")
    harness.wait_until("the backups", lambda: [b["destinations"]["far"] for b in backups(near).values()] == ["outside"] * 2, 60)
    wait_settled(near)
    cli("audit", "far", "--data", near.data)
    assert [b["destinations"]["far"] for b in backups(near).values()] == ["verified"] * 2
    there.put_object(Bucket="outside", Key="copies/bucket/backups/two/two.tar.gz", Body=b"y" * 5000)
    cli("audit", "far", "--data", near.data, status=1)
    wait_settled(near)
    assert {n: b["destinations"]["far"] for n, b in backups(near).items()} == {"one": "verified", "two": "outside"}
    cli("audit", "far", "--data", near.data)
    assert backups(near)["two"]["destinations"]["far"] == "verified"
    # One that is not outside as a whole was not compared as a whole.
    link.cut()
    put_backup(s3, "three")
    assert backups(near)["three"]["destinations"]["far"] == "local"
    link.mend()


# ---- metrics and alerts ----

def test_every_expression_of_the_alert_rules_names_metrics_that_are_served(pair):
    near, far, link = pair
    client(near).put_object(Bucket="bucket", Key="k", Body=b"x")
    wait_settled(near)
    served = set(re.findall(r"^([a-z_:]+)(?:{[^}]*})? \S+$", near.metrics(), re.M))
    helped = set(re.findall(r"^# HELP (\S+) ", near.metrics(), re.M))
    assert served <= helped
    functions = {"or", "and", "unless", "abs", "increase", "rate", "max", "min", "sum", "by", "time"}
    rules = [r for g in yaml.safe_load(ALERTS.read_text())["groups"] for r in g["rules"]]
    assert len(rules) >= 10
    for rule in rules:
        named = set(re.findall(r"[a-z_]{2,}", re.sub(r"\[\w+\]|{[^}]*}", "", rule["expr"]))) - functions
        assert named and named <= served, (rule["alert"], named - served)
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("critical", "warning", "info")
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            assert f"{label}=" in near.metrics()


def test_each_figure_of_a_destination_is_a_metric(pair):
    near, far, link = pair
    client(near).put_object(Bucket="bucket", Key="k", Body=b"x" * 1000)
    wait_settled(near)
    text, d = near.metrics(), destination(near)
    for name in ("consistent", "catching_up", "seeding", "paused", "stopped", "safe_until_timestamp_seconds", "lag_seconds", "lag_bytes",
                 "lag_entries", "rate_bytes_per_second", "published_total", "bytes_total", "deletes_total", "retries_total",
                 "failures_total", "parked_objects", "held_backups", "kept_back_deletes", "clock_offset_seconds",
                 "audit_timestamp_seconds", "audit_missing", "audit_different", "audit_foreign", "audit_failures_total",
                 "estimate_seconds"):
        assert f'holdfast_destination_{name}{{destination="far"}} ' in text, name
    assert f'published_total{{destination="far"}} {d["published"]}\n' in text
    assert d["rate_objects_per_minute"] >= 1 and d["estimate_seconds"] == 0
    assert "holdfast_recovery_hold 0" in text


# ---- progress ----

def on_terminal(*words):
    """Runs holdfast on a terminal; what it showed there, and its exit status."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(harness.BINARY), *map(str, words)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:
            break
        if not read:
            break
        shown += read
    os.close(ours)
    return shown.decode(), process.wait(60)


def test_progress_is_a_bar_on_a_terminal_and_plain_lines_elsewhere(pair):
    near, far, link = pair
    s3 = client(near)
    for i in range(40):
        s3.put_object(Bucket="bucket", Key=f"k{i:02}", Body=os.urandom(100_000))
    assert subprocess.run([str(harness.BINARY), "destination", "wait", "far", "--data", str(near.data)], timeout=60).returncode == 0
    words = ("audit", "far", "--data", near.data, "--read-data", "--rate", "1MiB")
    shown, exit_status = on_terminal(*words)
    assert exit_status == 0 and re.search(r"\[#+\.+\]\s+\d+ %  \d+ of 40  objects, \S+ \S+ read; about \d+ s to go", shown)
    done = subprocess.run([str(harness.BINARY), *map(str, words)], capture_output=True, text=True, timeout=60)
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and 1 <= len(lines) <= 10 and "\033" not in done.stderr and "\r" not in done.stderr
    assert all(re.fullmatch(r" *\d+ %  \d+ of 40  objects, .* read(; about \d+ s to go)?", line) for line in lines), lines


def test_wait_shows_the_first_copy_and_ends_when_it_is_there_or_cannot_be(pair):
    near, far, link = pair
    s3 = client(near)
    cli("destination", "remove", "far", "--data", near.data)
    for i in range(80):
        s3.put_object(Bucket="bucket", Key=f"k{i:02}", Body=os.urandom(100_000))
    cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", link.url, "--bucket", "outside", "--path",
        "anew", "--access-key-id", far.access_key, "--secret-access-key-file", "-", "--bytes-per-second", "1MiB", stdin=far.secret_key)
    shown, exit_status = on_terminal("destination", "wait", "far", "--data", near.data)
    assert exit_status == 0 and re.search(r"\[#*\.+\]\s+\d+ %  \d+ of 80  seeding, ", shown)
    assert len(keys(client(far), "outside", "anew/bucket/")) == 80
    cli("destination", "pause", "far", "--data", near.data)
    done = subprocess.run([str(harness.BINARY), "destination", "wait", "far", "--data", str(near.data)], capture_output=True, text=True)
    assert done.returncode == 1 and "far is paused: paused by a person" in done.stderr


# ---- an object's own word ----

def word(s3, key, bucket="bucket"):
    return s3.head_object(Bucket=bucket, Key=key)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-replication-status")


def test_each_object_says_whether_it_is_outside(pair):
    near, far, link = pair
    s3 = client(near)
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3.put_object(Bucket="bucket", Key="locks/" + "0" * 64, Body=b"x")  # restic's, which stay at home
    wait_settled(near)
    assert word(s3, "k") == "COMPLETED" and word(s3, "locks/" + "0" * 64) is None
    got = s3.get_object(Bucket="bucket", Key="k")
    assert got["ReplicationStatus"] == "COMPLETED"
    there = client(far)
    assert word(there, "copies/bucket/k", "outside") == "REPLICA"
    there.put_object(Bucket="outside", Key="own", Body=b"x")
    assert word(there, "own", "outside") is None
    link.cut()
    s3.put_object(Bucket="bucket", Key="k", Body=b"y")
    s3.put_object(Bucket="bucket", Key="l", Body=b"y")
    assert word(s3, "k") == word(s3, "l") == "PENDING"
    near.restart()
    assert word(s3, "k") == word(s3, "l") == "PENDING"
    link.mend()
    wait_settled(near, seconds=90)
    assert word(s3, "k") == word(s3, "l") == "COMPLETED"


def test_what_a_destination_cannot_take_is_listed_with_its_reason(azurite, container):  # noqa: F811
    near = harness.Server(args=SCRUB_OFF)
    try:
        near.start()
        cli("destination", "add", "far", "--data", near.data, "--provider", "azure", "--endpoint",
            f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", "--bucket", container, "--account-key-file", "-", stdin=KEY)
        s3 = client(near)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="ends with a dot.", Body=b"1")
        s3.put_object(Bucket="bucket", Key="later", Body=b"2")
        harness.wait_until("it to be parked", lambda: destination(near)["parked"] == 1, 60)
        wait_settled(near)
        told = re.compile(r"parked +1 objects .*\n +bucket/ends with a dot\.: (.+)")
        listed = lambda: told.search(cli("destination", "list", "--data", near.data))  # noqa: E731
        harness.wait_until("the reason to be noted", listed, 20)
        reason = listed().group(1)
        parked = json.loads(cli("destination", "list", "--data", near.data, "--json"))["parked"]
        assert [(p["destination"], p["bucket"], p["key"]) for p in parked] == [("far", "bucket", "ends with a dot.")]
        assert parked[0]["reason"] == reason and parked[0]["since"]
        assert word(s3, "ends with a dot.") == "FAILED" and word(s3, "later") == "COMPLETED"
        assert metric(near, "destination_parked_objects", '{destination="far"}') == 1
        s3.delete_object(Bucket="bucket", Key="ends with a dot.")
        harness.wait_until("it to be gone", lambda: destination(near)["parked"] == 0, 60)
    finally:
        near.close()
