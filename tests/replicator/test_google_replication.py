"""A store that is replicated to Google: what is acknowledged here is there, in Google's own order and pace."""

import json
import os
import subprocess
import time

import boto3
import boto3.s3.transfer
import botocore.config
import pytest

import harness
from google_peers import account_file, bucket, fake_gcs, front, google, tokens  # noqa: F401
from serving import Answer

MIB = 1 << 20
pytestmark = pytest.mark.timeout(150)


class Near:
    """A store with a destination at the front."""

    def __init__(self, front, tokens, bucket, account_file):
        self.server = harness.Server(args=["--scrub-rate", "0"]).start()
        self.s3 = boto3.client("s3", endpoint_url=self.server.endpoint, region_name="us-east-1",
                               aws_access_key_id=self.server.access_key, aws_secret_access_key=self.server.secret_key,
                               config=botocore.config.Config(s3={"addressing_style": "path"}))
        self.s3.create_bucket(Bucket="backups")
        self.command("destination", "add", "outside", "--provider", "google", "--endpoint", front.url, "--bucket", bucket,
                     "--path", "copy", "--service-account-json", str(account_file), "--token-endpoint", tokens.url + "/token")

    def command(self, *words):
        done = subprocess.run([str(harness.BINARY), *words, "--data", str(self.server.data)], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self):
        return json.loads(self.command("destination", "list", "--json"))["destinations"][0]

    def is_even(self):
        s = self.status()
        return s["state"] == "consistent" and s["lag_entries"] == 0 and s["watermark"] == s["journal_last"]

    def wait_even(self, seconds=60):
        harness.wait_until(f"an even copy: {self.status()}", self.is_even, seconds)


@pytest.fixture
def near(front, tokens, bucket, account_file):
    n = Near(front, tokens, bucket, account_file)
    try:
        yield n
    finally:
        n.server.close()


def test_puts_and_deletes_arrive(near, fake_gcs, bucket):
    for i in range(20):
        near.s3.put_object(Bucket="backups", Key=f"d/{i}", Body=b"x" * i, Metadata={"n": str(i)})
    near.s3.delete_object(Bucket="backups", Key="d/7")
    near.wait_even()
    names = [n for n in fake_gcs.names(bucket) if "plugins/holdfast/" not in n]
    assert sorted(names) == sorted(f"copy/backups/d/{i}" for i in range(20) if i != 7)
    there = fake_gcs.object(bucket, "copy/backups/d/5")
    assert there["metadata"]["n"] == "5" and there["size"] == "5"
    assert all(n.startswith("copy/") for n in fake_gcs.names(bucket))


def test_a_key_is_changed_once_a_second_at_most(near, front, fake_gcs, bucket):
    times = []

    def note(request, answer):
        if b"/k\"" in request.body[:400] and request.method == "POST":
            times.append(time.monotonic())
        return answer

    front.after = note
    for i in range(4):
        near.s3.put_object(Bucket="backups", Key="k", Body=f"body {i}".encode())
    near.wait_even()
    assert fake_gcs.bytes(bucket, "copy/backups/k") == b"body 3"
    assert all(b - a > 0.95 for a, b in zip(times, times[1:])), times


def test_a_large_object_goes_on_after_a_kill(near, front, fake_gcs, bucket, tmp_path):
    path = tmp_path / "big"
    path.write_bytes(os.urandom(150 * MIB + 4321))
    # From the twelfth chunk on nothing is answered, until the store has been killed.
    chunks = []

    def hold(request):
        if request.method == "PUT" and len(request.body) > 4 * MIB:
            chunks.append(len(request.body))
            if len(chunks) > 11:
                return Answer(drop=True)
        return None

    front.before = hold
    near.s3.upload_file(str(path), "backups", "big",
                        Config=boto3.s3.transfer.TransferConfig(multipart_chunksize=40 * MIB, max_concurrency=2))
    harness.wait_until("chunks on their way", lambda: len(chunks) > 11, 60)
    near.server.kill()
    front.before = None
    sent = sum(len(u.bytes) for u in front.uploads.values())
    before = sum(len(r.body) for r in front.requests if r.method == "PUT")
    assert "copy/backups/big" not in fake_gcs.names(bucket)
    assert sent >= 64 * MIB
    near.server.start()
    near.wait_even()
    assert fake_gcs.bytes(bucket, "copy/backups/big") == path.read_bytes()
    assert sum(len(r.body) for r in front.requests if r.method == "PUT") - before <= 151 * MIB - sent + 8 * MIB
    assert len(front.uploads) == 1


def test_the_test_command_names_who_it_is(near, tokens):
    assert tokens.email in near.command("destination", "test", "outside")
