"""When the disk is nearly full, contents that are outside are given up here, and reads go through."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time

import botocore.exceptions
import harness
import pytest
from holdfasts import SCRUB_OFF, add, cli, client, files, flip, metric, status, wait_settled

MIB = 1 << 20
MARK = ["--tier-high-water", "40%"]


@pytest.fixture
def holdfasts():
    made = []

    def make(**how):
        made.append(harness.Server(**how))
        return made[-1]

    yield make
    failure = None
    for server in made:
        try:
            server.close()
        except AssertionError as e:
            failure = failure or e
    if failure:
        raise failure


@pytest.fixture
def small_disk():
    """A file system in memory: its folder."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    folder = tempfile.mkdtemp(prefix="holdfast-disk.")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pair(holdfasts, small_disk):
    """A near server on a small disk that gives up above 64 MiB of use, a far one, and a bucket."""
    far = holdfasts(args=SCRUB_OFF).start()
    near = holdfasts(args=SCRUB_OFF + MARK, data=f"{small_disk}/data").start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    return near, far, s3


def used(server):
    disk = os.statvfs(server.data)
    return (disk.f_blocks - disk.f_bavail) * disk.f_frsize


def body(n, size=3 * MIB):
    return random.Random(n).randbytes(size)


def put_many(s3, numbers, size=3 * MIB):
    for n in numbers:
        s3.put_object(Bucket="bucket", Key=f"k{n:03}", Body=body(n, size))


def wait_given_up(near, seconds=30):
    """Until the disk is below the lower mark."""
    harness.wait_until("room", lambda: used(near) < 64 * MIB and metric(near, "away_contents"), seconds)


def get(s3, key, **how):
    return s3.get_object(Bucket="bucket", Key=key, **how)["Body"].read()


def put_parts(s3, key, parts):
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    done = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=n,
                                                     Body=part)["ETag"]} for n, part in enumerate(parts, 1)]
    s3.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": done})


def test_above_the_mark_the_least_recently_read_are_given_up_and_read_through(pair):
    near, far, s3 = pair
    s3.put_object(Bucket="bucket", Key="backups/b/b.tar.gz", Body=body(500))
    put_many(s3, range(17))
    wait_settled(near)
    make_old(near)
    get(s3, "k003")
    put_many(s3, range(17, 25))
    wait_settled(near)
    wait_given_up(near)
    paths = files(near)
    away = [n - 1 for n, p in enumerate(paths) if os.stat(p).st_blocks * 512 < os.stat(p).st_size]
    assert -1 not in away and 3 not in away and 24 not in away, away
    assert {0, 1, 2, 4, 5} <= set(away), away
    told = status(near)
    assert told["away_contents"] == len(away) and told["away_bytes"] == len(away) * 3 * MIB
    assert "outside only" in cli("status", "--data", near.data)
    before = metric(near, "filled_contents_total")
    for n in range(25):
        assert get(s3, f"k{n:03}") == body(n)
        assert used(near) < 70 * MIB
    assert metric(near, "filled_contents_total") > before
    near.stop()
    cli("check", near.data, "--read-data")
    near.start()
    s3 = client(near)
    assert get(s3, "k000") == body(0)


def make_old(near):
    """As if what is there had been read long ago, in the order in which it was written."""
    for n, path in enumerate(files(near)):
        os.utime(path, (time.time() - 40000 + n, os.stat(path).st_mtime))


def test_large_ones_are_read_block_by_block(pair):
    near, far, s3 = pair
    whole = body(1, 20 * MIB + 777)
    parts = [body(2, 9 * MIB), body(3, 6 * MIB), body(4, 100)]
    s3.put_object(Bucket="bucket", Key="whole", Body=whole)
    put_parts(s3, "parts", parts)
    wait_settled(near)
    make_old(near)
    put_many(s3, range(14))
    wait_settled(near)
    wait_given_up(near)
    for path in files(near)[:3]:
        assert os.stat(path).st_blocks * 512 < 4 * MIB, path
    for first, last in ((0, 10), (65535, 65536), (10 * MIB - 3, 13 * MIB), (20 * MIB, 20 * MIB + 776)):
        assert get(s3, "whole", Range=f"bytes={first}-{last}") == whole[first:last + 1]
        got = get(s3, "parts", Range=f"bytes={first}-{last}") if last < 15 * MIB else b""
        assert got == b"".join(parts)[first:last + 1][:len(got)]
    assert get(s3, "whole") == whole
    assert get(s3, "parts") == b"".join(parts)
    assert s3.get_object(Bucket="bucket", Key="parts", PartNumber=2)["Body"].read() == parts[1]
