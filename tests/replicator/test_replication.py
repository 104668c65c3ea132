"""A second holdfast as the destination, over a link that is bad."""

import json
import os
import random
import shutil
import socket
import subprocess
import time

import boto3
import botocore.config
import pytest

import harness
from chaos_proxy import ChaosProxy
from writers import Restic

KILLS = int(os.environ.get("HOLDFAST_KILLS", "3"))
pytestmark = pytest.mark.timeout(170 + 12 * KILLS)
needs_restic = pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")


def client_of(server):
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id=server.access_key,
                        aws_secret_access_key=server.secret_key,
                        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


class Pair:
    """A store (near) that is replicated to another (far) by way of a proxy."""

    def __init__(self, *near_args):
        self.far = harness.Server(args=["--scrub-rate", "0"]).start()
        self.near = harness.Server(args=["--scrub-rate", "0", *near_args]).start()
        self.proxy = ChaosProxy(self.far.address, seed=1)
        self.s3, self.far_s3 = client_of(self.near), client_of(self.far)
        self.s3.create_bucket(Bucket="backups")
        self.far_s3.create_bucket(Bucket="outside")

    def command(self, *words, check=True):
        done = subprocess.run([str(harness.BINARY), *words, "--data", str(self.near.data)], capture_output=True, text=True,
                              timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done

    def add(self, *options, name="far"):
        secret = self.near.own_root / "secret"
        secret.write_text(self.far.secret_key)
        self.command("destination", "add", name, "--provider", "s3", "--endpoint", self.proxy.url, "--bucket", "outside",
                     "--path", "copy", "--access-key-id", self.far.access_key, "--secret-access-key-file", str(secret),
                     *options)

    def status(self):
        return json.loads(self.command("destination", "list", "--json").stdout)["destinations"][0]

    def is_even(self):
        s = self.status()
        return s["state"] == "consistent" and s["lag_entries"] == 0 and s["watermark"] == s["journal_last"]

    def wait_even(self, seconds=60):
        harness.wait_until(f"an even copy: {self.status()}", self.is_even, seconds)

    def far_keys(self):
        keys = {}
        for page in self.far_s3.get_paginator("list_objects_v2").paginate(Bucket="outside", Prefix="copy/"):
            for entry in page.get("Contents", []):
                keys[entry["Key"][len("copy/"):]] = entry
        return keys

    def close(self):
        self.proxy.close()
        try:
            self.near.close()
        finally:
            self.far.close()


@pytest.fixture
def pair():
    p = Pair()
    try:
        yield p
    finally:
        p.close()


@needs_restic
def test_kills_of_the_store_leave_no_gap(pair, tmp_path):
    pair.add("--brake-percent", "100")
    chance = random.Random(12)
    near = Restic("backups/repo", tmp_path / "cache", pair.near)
    far = Restic("outside/copy/backups/repo", tmp_path / "far-cache", pair.far)
    near("init")
    for i in range(KILLS):
        harness.write_random(tmp_path / "source" / f"f{i}", 3 << 20, i)
        load = subprocess.Popen(["restic", "backup", str(tmp_path / "source")], env={**os.environ, **near.env},
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3 + chance.random())
        pair.near.kill()
        time.sleep(0.1)
        if "backups/repo/config" in pair.far_keys():
            far("check", "--read-data", "--no-lock", "--no-cache")
        pair.near.start()
        load.wait(60)
        near("unlock")
    near("backup", str(tmp_path / "source"))
    pair.wait_even()
    far("check", "--read-data", "--no-lock", "--no-cache")
    assert pair.far_s3.list_multipart_uploads(Bucket="outside").get("Uploads", []) == []


def test_each_kind_of_change_arrives(pair):
    s3 = pair.s3
    s3.put_object(Bucket="backups", Key="before", Body=b"was here", Metadata={"colour": "green"},
                  ContentType="text/x-test", Tagging="a=1&b=2")
    pair.add()
    s3.put_object(Bucket="backups", Key="over", Body=b"one")
    s3.put_object(Bucket="backups", Key="over", Body=b"second")
    s3.put_object(Bucket="backups", Key="gone", Body=b"x")
    s3.delete_object(Bucket="backups", Key="gone")
    s3.put_object(Bucket="backups", Key="empty", Body=b"")
    s3.put_object(Bucket="backups", Key="dir/ünïcode & + name", Body=b"u")
    s3.copy_object(Bucket="backups", Key="copied", CopySource={"Bucket": "backups", "Key": "over"})
    s3.put_object_tagging(Bucket="backups", Key="over", Tagging={"TagSet": [{"Key": "t", "Value": "v"}]})
    upload = s3.create_multipart_upload(Bucket="backups", Key="multi", Metadata={"kind": "parts"})["UploadId"]
    parts = []
    for number in (1, 2, 3):
        etag = s3.upload_part(Bucket="backups", Key="multi", UploadId=upload, PartNumber=number,
                              Body=bytes([number]) * (5 << 20))["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(Bucket="backups", Key="multi", UploadId=upload, MultipartUpload={"Parts": parts})
    pair.wait_even()

    keys = {k for k in pair.far_keys() if not k.startswith("plugins/")}
    assert keys == {f"backups/{k}" for k in ("before", "over", "empty", "dir/ünïcode & + name", "copied", "multi")}
    got = pair.far_s3.get_object(Bucket="outside", Key="copy/backups/before")
    assert got["Body"].read() == b"was here" and got["ContentType"] == "text/x-test"
    assert got["Metadata"]["colour"] == "green"
    assert pair.far_s3.get_object(Bucket="outside", Key="copy/backups/over")["Body"].read() == b"second"
    multi = pair.far_s3.get_object(Bucket="outside", Key="copy/backups/multi")
    assert multi["Body"].read() == b"".join(bytes([n]) * (5 << 20) for n in (1, 2, 3))
    assert multi["Metadata"]["kind"] == "parts"
    assert s3.head_object(Bucket="backups", Key="multi")["ReplicationStatus"] == "COMPLETED"
    pair.proxy.cut()
    s3.put_object(Bucket="backups", Key="later", Body=b"x")
    assert s3.head_object(Bucket="backups", Key="later")["ReplicationStatus"] == "PENDING"
    pair.proxy.mend()
    pair.wait_even()
    assert s3.head_object(Bucket="backups", Key="later")["ReplicationStatus"] == "COMPLETED"


def test_a_version_that_comes_to_light_again_arrives(pair):
    pair.s3.put_bucket_versioning(Bucket="backups", VersioningConfiguration={"Status": "Enabled"})
    pair.add()
    pair.s3.put_object(Bucket="backups", Key="k", Body=b"old")
    newer = pair.s3.put_object(Bucket="backups", Key="k", Body=b"newer")["VersionId"]
    marker = pair.s3.delete_object(Bucket="backups", Key="k")["VersionId"]
    pair.wait_even()
    assert "backups/k" not in pair.far_keys()
    pair.s3.delete_object(Bucket="backups", Key="k", VersionId=marker)
    pair.wait_even()
    assert pair.far_s3.get_object(Bucket="outside", Key="copy/backups/k")["Body"].read() == b"newer"
    pair.s3.delete_object(Bucket="backups", Key="k", VersionId=newer)
    pair.wait_even()
    assert pair.far_s3.get_object(Bucket="outside", Key="copy/backups/k")["Body"].read() == b"old"


def test_a_bad_link_converges_by_itself(pair):
    pair.add("--brake-percent", "100")
    pair.proxy.resets, pair.proxy.delay = 0.03, 0.002
    chance = random.Random(7)
    want = {}
    for i in range(300):
        key = f"k{chance.randrange(60)}"
        if key in want and chance.random() < 0.2:
            pair.s3.delete_object(Bucket="backups", Key=key)
            del want[key]
        else:
            want[key] = chance.randbytes(chance.choice((0, 10, 5000, 70000)))
            pair.s3.put_object(Bucket="backups", Key=key, Body=want[key])
    pair.proxy.resets = 0.01
    pair.wait_even(120)
    assert {k for k in pair.far_keys() if not k.startswith("plugins/")} == {f"backups/{k}" for k in want}
    for key, body in want.items():
        assert pair.far_s3.get_object(Bucket="outside", Key=f"copy/backups/{key}")["Body"].read() == body


def test_a_source_bucket_goes_directly_below_the_path(pair):
    pair.add("--source-bucket", "backups")
    pair.s3.create_bucket(Bucket="other")
    pair.s3.put_object(Bucket="backups", Key="backups/b1/b1.tar.gz", Body=b"x")
    pair.s3.put_object(Bucket="other", Key="k", Body=b"x")
    pair.wait_even()
    tops = {k.split("/")[0] for k in pair.far_keys()}
    assert tops == {"backups", "plugins"}


def test_a_velero_backup_appears_when_it_is_whole(pair):
    pair.add("--source-bucket", "backups")
    put = lambda name, body=b"x": pair.s3.put_object(Bucket="backups", Key=f"backups/b1/{name}", Body=body)  # noqa: E731
    phase = lambda p: json.dumps({"kind": "Backup", "status": {"phase": p}}).encode()  # noqa: E731
    put("b1-logs.gz")
    put("velero-backup.json", phase("WaitingForPluginOperations"))
    put("b1.tar.gz")
    put("b1-resource-list.json.gz")
    pair.wait_even()
    assert "backups/b1/velero-backup.json" not in pair.far_keys() and "backups/b1/b1.tar.gz" in pair.far_keys()
    assert pair.status()["held"] == 1
    pair.near.kill()
    pair.near.start()
    put("velero-backup.json", phase("Completed"))
    harness.wait_until("published", lambda: "backups/b1/velero-backup.json" in pair.far_keys(), 30)
    assert pair.status()["held"] == 0


def test_backups_are_told_of_with_how_far_each_is_outside(pair):
    pair.add("--source-bucket", "backups")
    pair.s3.put_object(Bucket="backups", Key="backups/b1/b1.tar.gz", Body=b"x" * 100)
    pair.s3.put_object(Bucket="backups", Key="backups/b1/velero-backup.json", Body=b'{"status": {"phase": "Completed"}}')

    def told():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(pair.near.data / "control.sock"))
            s.sendall(b"GET /v1/backups HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])["backups"]

    harness.wait_until("partly", lambda: told()[0]["destinations"] == {"far": "partly outside"}, 20)
    backup = told()[0]
    assert (backup["name"], backup["phase"], backup["objects"], backup["bytes"]) == ("b1", "Completed", 2, 134)
    harness.wait_until("outside", lambda: told()[0]["destinations"] == {"far": "outside"}, 30)


def test_secrets_stand_nowhere(pair):
    pair.add()
    pair.s3.put_object(Bucket="backups", Key="k", Body=b"x")
    pair.wait_even()
    listed = pair.command("destination", "list", "--json").stdout
    assert pair.far.secret_key not in listed
    assert pair.far.secret_key not in pair.near.log()
    for path in pair.near.data.rglob("*"):
        if path.is_file() and path.name != "credentials":
            assert pair.far.secret_key.encode() not in path.read_bytes(), path
    assert (pair.near.data / "replicator.key").stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in (pair.near.data / "audit.log").read_text().splitlines()]
    assert lines[0]["what"] == "destination.add" and lines[0]["name"] == "far"


def test_metrics_tell_of_the_destination(pair):
    pair.add()
    pair.s3.put_object(Bucket="backups", Key="k", Body=b"x")
    pair.wait_even()
    text = pair.near.metrics()
    assert 'holdfast_destination_consistent{destination="far"} 1' in text
    assert 'holdfast_destination_lag_entries{destination="far"} 0' in text


def test_paused_resumed_removed(pair):
    pair.add()
    pair.command("destination", "pause", "far")
    pair.s3.put_object(Bucket="backups", Key="k", Body=b"x")
    time.sleep(0.5)
    assert pair.status()["state"] == "paused" and "backups/k" not in pair.far_keys()
    pair.command("destination", "resume", "far")
    pair.wait_even()
    assert "backups/k" in pair.far_keys()
    pair.command("destination", "remove", "far")
    assert pair.command("destination", "remove", "far", check=False).returncode != 0
    assert "backups/k" in pair.far_keys()


def test_a_destination_of_the_configuration_file_wins(pair):
    config = pair.near.own_root / "config"
    secret = pair.near.own_root / "far-secret"
    secret.write_text(pair.far.secret_key + "\n")
    config.write_text(f"[destination filed]\nprovider = s3\nendpoint = {pair.proxy.url}\nbucket = outside\npath = copy\n"
                      f"access-key-id = {pair.far.access_key}\nsecret-access-key-file = {secret}\nconcurrency = 3\n")
    pair.near.args += ["--config", str(config)]
    pair.near.restart()
    pair.s3.put_object(Bucket="backups", Key="k", Body=b"x")
    pair.wait_even()
    assert "backups/k" in pair.far_keys()
    s = pair.status()
    assert s["name"] == "filed" and s["from_config"] and s["fields"]["concurrency"] == 3
    assert "configuration file" in pair.command("destination", "remove", "filed", check=False).stderr
    assert pair.far.secret_key.encode() not in (pair.near.data / "index" / "data.mdb").read_bytes()
