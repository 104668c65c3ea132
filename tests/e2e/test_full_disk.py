"""A disk that fills up or runs out of inodes: writes stop with a sentence, deletes always work.

One that turns read-only is among the faults of tests/fault: a disk that is written to cannot be remounted so.
"""

import os
import shutil
import subprocess
import tempfile

import botocore.exceptions
import pytest

import harness
from conftest import client_for

MIB = 1 << 20


@pytest.fixture
def small_disk():
    """Mounts file systems of their own in memory: small_disk("size=...")."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    made = []

    def mount(options):
        folder = tempfile.mkdtemp(prefix="holdfast-disk.")
        made.append(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def on_disk(small_disk, new_server):
    """Starts a server whose data is on a small disk; returns it, a client, and the disk."""
    def start(options, *args):
        disk = small_disk(options)
        server = new_server(data=f"{disk}/data", args=list(args)).start()
        client = client_for(server)
        client.create_bucket(Bucket="full")
        return server, client, disk
    return start


def fill(client, size, prefix, most=1000):
    """Writes until refused: how many went, and the refusal."""
    for i in range(most):
        try:
            client.put_object(Bucket="full", Key=f"{prefix}{i}", Body=os.urandom(size))
        except botocore.exceptions.ClientError as e:
            return i, e.response
    raise AssertionError(f"{most} writes were taken")


def refused(answer, *words):
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403 and answer["Error"]["Code"] == "AccessDenied", answer
    for word in words:
        assert word in answer["Error"]["Message"], answer["Error"]["Message"]


def delete_all(client, prefix):
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="full", Prefix=prefix):
        if page.get("Contents"):
            client.delete_objects(Bucket="full", Delete={"Objects": [{"Key": o["Key"]} for o in page["Contents"]]})


def test_large_writes_stop_first_then_small_ones_and_deletes_never(on_disk):
    server, client, _ = on_disk("size=192m", "--reserve", "48MiB")
    large, answer = fill(client, 8 * MIB, "large/")
    refused(answer, "disk", "free")
    assert large >= 8
    client.put_object(Bucket="full", Key="velero-backup.json", Body=b"{}" * 4000)
    small, answer = fill(client, 512 * 1024, "small/")
    refused(answer, "disk")
    assert small >= 20
    # Nothing of it is lost, and a restart is no way to lose it either.
    server.restart()
    assert client.get_object(Bucket="full", Key="velero-backup.json")["Body"].read() == b"{}" * 4000
    delete_all(client, "large/")
    harness.wait_until("space is back", lambda: client.put_object(
        Bucket="full", Key="again", Body=os.urandom(8 * MIB)) is not None, 5)
    delete_all(client, "small/")
    assert fill(client, 8 * MIB, "more/")[0] >= large - 2


def test_a_disk_filled_by_others_still_takes_deletes(on_disk):
    server, client, disk = on_disk("size=160m", "--reserve", "32MiB")
    for i in range(6):
        client.put_object(Bucket="full", Key=f"k{i}", Body=os.urandom(8 * MIB))
    with open(f"{disk}/other", "wb") as f:
        with pytest.raises(OSError):
            while True:
                f.write(bytes(MIB))
                f.flush()
    # The room is asked for now and then; until it is, what still fits into the index is taken, and durable.
    n, answer = fill(client, 4000, "tiny/", most=20000)
    refused(answer, "disk")
    assert client.list_objects_v2(Bucket="full", Prefix="tiny/")["KeyCount"] == min(n, 1000)
    assert client.get_object(Bucket="full", Key="k1")["Body"].read(10)
    delete_all(client, "")
    assert client.list_objects_v2(Bucket="full")["KeyCount"] == 0
    harness.wait_until("space is back", lambda: os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > 40 * MIB, 10)
    client.put_object(Bucket="full", Key="tiny", Body=b"x")


def test_running_out_of_inodes_is_a_full_disk(on_disk):
    server, client, _ = on_disk("size=256m,nr_inodes=200", "--reserve", "8MiB")
    n, answer = fill(client, 100 * 1024, "k", most=300)
    refused(answer, "inodes")
    assert n > 50
    delete_all(client, "k")
    harness.wait_until("inodes are back", lambda: client.put_object(
        Bucket="full", Key="again", Body=os.urandom(100 * 1024)) is not None, 5)


@pytest.mark.parametrize("command", [
    ["aws", "s3", "cp", "FILE", "s3://full/big"],
    ["s5cmd", "cp", "FILE", "s3://full/big"],
    ["rclone", "copyto", "FILE", ":s3:full/big", "--s3-provider", "Other", "--s3-env-auth"],
], ids=lambda c: c[0])
def test_clients_stop_at_once_and_show_why(on_disk, tmp_path, command):
    server, client, _ = on_disk("size=128m", "--reserve", "32MiB")
    fill(client, 8 * MIB, "large/")
    harness.write_random(tmp_path / "big", 24 * MIB)
    command = [str(tmp_path / "big") if c == "FILE" else c for c in command]
    env = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key, "AWS_REGION": "us-east-1",
           "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.endpoint, "S3_ENDPOINT_URL": server.endpoint,
           "RCLONE_S3_ENDPOINT": server.endpoint, "HOME": str(tmp_path)}
    done = harness.run(command, env=env, timeout=60, check=False)
    assert done.returncode != 0
    assert "disk" in done.stdout + done.stderr
