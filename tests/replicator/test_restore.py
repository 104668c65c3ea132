"""Node loss: an empty store is made anew from its destination."""

import json
import os
import random
import shutil
import subprocess
import time

import harness
from holdfasts import SCRUB_OFF, add, cli, client, destination, keys, metric, status, wait_settled


def restic(server, *words, check=True):
    env = {**os.environ, "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
           "RESTIC_PASSWORD": "secret", "RESTIC_CACHE_DIR": str(server.own_root / "cache")}
    return subprocess.run(["restic", "-r", f"s3:{server.endpoint}/velero/restic/ns", "--no-lock", *map(str, words)],
                          env=env, capture_output=True, text=True, timeout=120, check=check)


def lose(near, holdfasts):
    near.kill()
    shutil.rmtree(near.data)
    return holdfasts(args=SCRUB_OFF).start()


def facts(s3, bucket, key):
    h = s3.head_object(Bucket=bucket, Key=key)
    return h["ETag"], h["ContentLength"], h["Metadata"], h["ContentType"], h["LastModified"]


def restore(near, *options):
    return json.loads(cli("restore", "--data", near.data, "--from", "far", "--take-over", "--json", *options))


def test_a_lost_node_comes_back(holdfasts, tmp_path):
    near, far = holdfasts(args=SCRUB_OFF).start(), holdfasts(args=SCRUB_OFF).start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="velero")
    tree = tmp_path / "tree"
    for i in range(20):
        harness.write_random(tree / f"f{i}", 400_000, i)
    restic(near, "init")
    restic(near, "backup", tree)
    for name in ("one", "two"):
        s3.put_object(Bucket="velero", Key=f"backups/{name}/velero-backup.json",
                      Body=json.dumps({"status": {"phase": "Completed"}}))
        s3.put_object(Bucket="velero", Key=f"backups/{name}/{name}.tar.gz", Body=os.urandom(30000),
                      Metadata={"a": name}, ContentType="application/gzip", Tagging="t=1")
    upload = s3.create_multipart_upload(Bucket="velero", Key="kopia/big")["UploadId"]
    big = random.Random(7).randbytes(12 << 20)
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="velero", Key="kopia/big", UploadId=upload, PartNumber=n,
                                                     Body=big[at:at + (6 << 20)])["ETag"]}
             for n, at in ((1, 0), (2, 6 << 20))]
    s3.complete_multipart_upload(Bucket="velero", Key="kopia/big", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.put_object(Bucket="velero", Key="metadata/empty", Body=b"")
    wait_settled(near)
    harness.wait_until("the backups", lambda: destination(near)["held"] == 0, 60)
    wait_settled(near)
    there = client(far)
    there.put_object(Bucket="outside", Key="copies/velero/metadata/foreign", Body=b"others", Metadata={"x": "y"})
    before = {k: facts(s3, "velero", k) for k in keys(s3, "velero") if "/locks/" not in k}
    outside = keys(there, "outside")

    fresh = lose(near, holdfasts)
    near.sound = False
    add(fresh, far)
    harness.wait_until("the reason", lambda: destination(fresh)["state"] == "stopped", 20)
    assert "holdfast restore" in destination(fresh)["reason"]
    began = time.monotonic()
    said = restore(fresh)
    assert said["known_all"] and said["failed"] == 0
    s3 = client(fresh)
    assert s3.get_object(Bucket="velero", Key="kopia/big")["Body"].read() == big
    assert time.monotonic() - began < 20
    restic(fresh, "check", "--read-data")
    after = {k: facts(s3, "velero", k) for k in keys(s3, "velero")}
    foreign = after.pop("metadata/foreign")
    assert after == before
    assert foreign[1] == 6 and foreign[2] == {"x": "y"}
    assert s3.get_object_tagging(Bucket="velero", Key="backups/one/one.tar.gz")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert cli("hold", "--data", fresh.data).startswith("Recovery hold")
    harness.wait_until("the fill", lambda: json.loads(cli("restore", "--data", fresh.data, "--json"))["done"], 60)
    wait_settled(fresh)
    # Nothing was sent again or removed.
    now = keys(there, "outside")
    assert {k: (o["ETag"], o["LastModified"]) for k, o in now.items() if "owner.json" not in k} == \
        {k: (o["ETag"], o["LastModified"]) for k, o in outside.items() if "owner.json" not in k}
    assert destination(fresh)["deletes"] == 0
    # And it goes on.
    s3.put_object(Bucket="velero", Key="restic/ns/new", Body=b"new")
    wait_settled(fresh)
    assert there.get_object(Bucket="outside", Key="copies/velero/restic/ns/new")["Body"].read() == b"new"
    far.stop()
    assert s3.get_object(Bucket="velero", Key="kopia/big")["Body"].read() == big
    far.start()


def test_deletes_are_kept_back_under_the_hold(holdfasts):
    near, far = holdfasts(args=SCRUB_OFF).start(), holdfasts(args=SCRUB_OFF).start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    for i in range(30):
        s3.put_object(Bucket="bucket", Key=f"k{i}", Body=bytes([i]) * 50_000, Metadata={"i": str(i)})
    wait_settled(near)
    fresh = lose(near, holdfasts)
    near.sound = False
    add(fresh, far)
    restore(fresh, "--wait")
    s3 = client(fresh)
    s3.delete_object(Bucket="bucket", Key="k3")
    wait_settled(fresh)
    assert "k3" not in keys(s3, "bucket")
    assert "copies/bucket/k3" in keys(client(far), "outside")
    assert json.loads(cli("hold", "--data", fresh.data, "--json"))["kept_back"] == 1
    cli("hold", "undelete", "bucket/k3", "--data", fresh.data)
    assert s3.get_object(Bucket="bucket", Key="k3")["Body"].read() == b"\3" * 50_000
    cli("hold", "end", "--data", fresh.data)
    s3.delete_object(Bucket="bucket", Key="k4")
    harness.wait_until("the delete", lambda: "copies/bucket/k4" not in keys(client(far), "outside"), 30)
    assert "copies/bucket/k3" in keys(client(far), "outside")


def complete_keys(s3, bucket):
    """The listing, once it is not refused any more."""
    while True:
        try:
            return set(keys(s3, bucket))
        except s3.exceptions.ClientError as e:
            assert e.response["Error"]["Code"] == "SlowDown" and e.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]
            time.sleep(0.05)


def test_a_backlog_of_changes_hides_nothing_that_is_outside(holdfasts):
    near, far = holdfasts(args=SCRUB_OFF).start(), holdfasts(args=SCRUB_OFF).start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    names = {f"k{i:04}" for i in range(800)}
    for name in sorted(names):
        s3.put_object(Bucket="bucket", Key=name, Body=name.encode())
    wait_settled(near)
    fresh = lose(near, holdfasts)
    near.sound = False
    add(fresh, far)
    runner = subprocess.Popen([str(harness.BINARY), "restore", "--data", str(fresh.data), "--from", "far", "--take-over"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    s3 = client(fresh)
    harness.wait_until("the beginning", lambda: metric(fresh, "objects") and metric(fresh, "objects") > 5, 30)
    # From here on its journal is not read.
    cli("destination", "pause", "far", "--data", fresh.data)
    s3.delete_object(Bucket="bucket", Key="k0799")
    assert complete_keys(s3, "bucket") == names - {"k0799"}
    runner.wait(60)


def test_a_restore_goes_on_after_a_crash_and_lists_never_lack(holdfasts):
    near, far = holdfasts(args=SCRUB_OFF).start(), holdfasts(args=SCRUB_OFF).start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    names = {f"k{i:04}" for i in range(1500)}
    for name in sorted(names):
        s3.put_object(Bucket="bucket", Key=name, Body=name.encode())
    wait_settled(near)
    fresh = lose(near, holdfasts)
    near.sound = False
    add(fresh, far)
    runner = subprocess.Popen([str(harness.BINARY), "restore", "--data", str(fresh.data), "--from", "far", "--take-over"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    s3 = client(fresh)
    harness.wait_until("the beginning", lambda: metric(fresh, "objects") and metric(fresh, "objects") > 20, 30)
    assert s3.get_object(Bucket="bucket", Key="k1499")["Body"].read() == b"k1499"
    s3.delete_object(Bucket="bucket", Key="k1498")
    fresh.kill()
    runner.wait(60)
    fresh.start()
    assert complete_keys(client(fresh), "bucket") == names - {"k1498"}


def fields(far, bucket="outside", path="copies"):
    """The options of far as a destination; its secret goes to standard input."""
    return ["--provider", "s3", "--endpoint", far.endpoint, "--region", "us-east-1", "--bucket", bucket, "--path", path,
            "--access-key-id", far.access_key, "--secret-access-key-file", "-"]


def said(server, far, *options, **how):
    return subprocess.run([str(harness.BINARY), "restore", "--data", str(server.data), *fields(far, **how), *options],
                          input=far.secret_key, capture_output=True, text=True, timeout=60)


def test_a_restore_by_fields_says_what_is_there_and_is_refused_where_it_must_be(holdfasts):
    near, far = holdfasts(args=SCRUB_OFF).start(), holdfasts(args=SCRUB_OFF).start()
    add(near, far)
    s3 = client(near)
    for bucket in ("velero", "another"):
        s3.create_bucket(Bucket=bucket)
    for name in ("one", "two"):
        s3.put_object(Bucket="velero", Key=f"backups/{name}/velero-backup.json",
                      Body=json.dumps({"status": {"phase": "Completed"}}))
        s3.put_object(Bucket="velero", Key=f"backups/{name}/{name}.tar.gz", Body=b"x" * 1000)
    s3.put_object(Bucket="another", Key="k", Body=b"k")
    wait_settled(near)
    harness.wait_until("the backups", lambda: destination(near)["held"] == 0, 60)
    wait_settled(near)

    refused = said(near, far)
    assert refused.returncode == 1 and "this store holds objects" in refused.stderr
    fresh = lose(near, holdfasts)
    near.sound = False
    nothing = said(fresh, far, path="elsewhere")
    assert nothing.returncode == 1 and "nothing to restore" in nothing.stderr
    missing = said(fresh, far, bucket="no-such-bucket")
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1
    look = said(fresh, far, "--look")
    assert "There: 5 objects" in look.stdout and "another, velero" in look.stdout
    assert "Velero backups: 2" in look.stdout and "belongs to the store" in look.stdout
    # Whoever wrote there just now may be alive.
    alive = said(fresh, far)
    assert alive.returncode == 1 and "--take-over" in alive.stderr
    assert status(fresh)["destinations"] == [], "nothing half-done remains"
    assert client(fresh).list_buckets()["Buckets"] == []

    done = said(fresh, far, "--take-over", "--from", "cloud", "--wait")
    assert done.returncode == 0, done.stderr
    assert "There: 5 objects" in done.stdout and "from cloud: done" in done.stdout
    assert client(fresh).get_object(Bucket="another", Key="k")["Body"].read() == b"k"
    wait_settled(fresh, "cloud")
    again = said(fresh, far, "--take-over", "--from", "again")
    assert again.returncode == 1 and "holds objects" in again.stderr


def test_what_a_restore_brings_back_goes_to_every_other_destination_too(holdfasts):
    near, far, other = (holdfasts(args=SCRUB_OFF).start() for _ in range(3))
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    names = {f"k{i:03}" for i in range(300)}
    for name in sorted(names):
        s3.put_object(Bucket="bucket", Key=name, Body=name.encode())
    wait_settled(near)
    fresh = lose(near, holdfasts)
    near.sound = False
    add(fresh, far)
    add(fresh, other, "other")
    wait_settled(fresh, "other")  # its path is empty, as the store is
    restore(fresh, "--wait")
    wait_settled(fresh)
    wait_settled(fresh, "other")
    assert {k.rpartition("/")[2] for k in keys(client(other), "outside", "copies/bucket/")} == names
    assert destination(fresh)["published"] == 0, "and nothing goes back to where it came from"
