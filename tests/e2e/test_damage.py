"""Damage and full disks: no wrong byte is served, damage is found and told, a lost index comes back, deletes always work."""

import os
import random
import re
import shutil
import subprocess
import time

import botocore.exceptions
import pytest

import flips
import harness
from conftest import client_for

pytestmark = pytest.mark.skipif(bool(harness.FOREIGN_ENDPOINT), reason="needs a holdfast of its own")

BLOCK = 64 * 1024


def files(server):
    """Files of contents, newest last."""
    found = [p for p in (server.data / "extents").rglob("*") if p.is_file()]
    return sorted(found, key=lambda p: int(p.name))


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x10]))


def metric(server, name):
    return float(re.search(rf"^holdfast_{name} (\S+)$", server.metrics(), re.M).group(1))


def holdfast(*words, check=0):
    done = subprocess.run([str(harness.BINARY), *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == check, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def read_all(body):
    """What a client gets until it ends: (bytes, whether it came to its end)."""
    got = b""
    try:
        while chunk := body.read(BLOCK):
            got += chunk
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.IncompleteReadError,
            botocore.exceptions.ResponseStreamingError):
        return got, False
    return got, True


@pytest.mark.parametrize("block", [0, 1, 7, 15])
def test_bytes_of_a_damaged_block_never_leave(new_server, block):
    server = new_server(args=["--scrub-rate", "0"]).start()
    server.sound = False
    s3 = client_for(server)
    s3.create_bucket(Bucket="bucket")
    body = random.Random(block).randbytes(16 * BLOCK - 1000)
    s3.put_object(Bucket="bucket", Key="bad", Body=body)
    bad = files(server)[-1]
    s3.put_object(Bucket="bucket", Key="good", Body=body)
    flip(bad, block * BLOCK + 5000)

    try:
        got, whole = read_all(s3.get_object(Bucket="bucket", Key="bad")["Body"])
        assert not whole and body.startswith(got) and len(got) <= block * BLOCK
    except botocore.exceptions.ClientError as e:
        assert block < 4 and e.response["ResponseMetadata"]["HTTPStatusCode"] == 500, e
    except botocore.exceptions.HTTPClientError:
        pass  # cut before the body began
    # What is sound of it can be had.
    at = (block + 1) % 16 * BLOCK
    part = s3.get_object(Bucket="bucket", Key="bad", Range=f"bytes={at}-{at + 999}")["Body"].read()
    assert part == body[at:at + 1000]
    assert s3.get_object(Bucket="bucket", Key="good")["Body"].read() == body

    harness.wait_until("the damage is remembered", lambda: metric(server, "damaged_contents_total") == 1, 10)
    assert '"event":"store.damage"' in server.log()
    server.stop()
    assert "found damaged before" in holdfast("check", server.data, check=1)


def test_the_scrubber_finds_what_nobody_reads(new_server):
    server = new_server(args=["--scrub-rate", "0"]).start()
    server.sound = False
    s3 = client_for(server)
    s3.create_bucket(Bucket="bucket")
    for i in range(20):
        s3.put_object(Bucket="bucket", Key=f"k{i}", Body=os.urandom(300_000))
    server.stop()
    flip(files(server)[7], 100_000)
    files(server)[3].unlink()
    server.args = ["--scrub-rate", "1GiB"]
    server.start()
    harness.wait_until("the damage", lambda: metric(server, "damaged_contents_total") == 2, 20)
    harness.wait_until("the round's end", lambda: metric(server, "scrub_rounds_total") == 1, 20)
    assert metric(server, "scrub_bytes_total") >= 19 * 300_000
    server.stop()
    found = holdfast("check", server.data, check=1)
    assert found.count("found damaged before") == 2 and "is missing" in found


def test_a_flipped_bit_of_the_index_is_found_and_never_answered_from(new_server, tmp_path):
    """Each flip is made below a running server and in a copy for the checker, and taken back."""
    server = new_server(args=["--scrub-rate", "0", "--copy-interval", "0s"]).start()
    server.sound = False
    flips.fill(server)
    truth = flips.Truth(client_for(server))
    server.stop()
    copy, data = tmp_path / "copy", server.data / "index" / "data.mdb"
    shutil.copytree(server.data, copy, ignore=shutil.ignore_patterns("lock", "*.sock"))
    index, aside = data.read_bytes(), copy / "index" / "data.mdb"
    kinds = {}
    for span in flips.live(index):
        kinds.setdefault(span[2], []).append(span)
    assert len(kinds) > 20
    server.start()
    s3 = client_for(server)

    source, unheeded, crashes = random.Random(int(os.environ.get("HOLDFAST_DAMAGE_SEED", "1"))), 0, 0
    for _ in range(int(os.environ.get("HOLDFAST_DAMAGE_FLIPS", "25"))):
        first, end, what = source.choice(kinds[source.choice(sorted(kinds))])
        at, bit = source.randrange(first, end), source.randrange(8)
        told = f"bit {bit} of byte {at}, {what}"
        with open(data, "r+b") as below, open(aside, "r+b") as beside:
            for f in (below, beside):
                f.seek(at)
                f.write(bytes([index[at] ^ 1 << bit]))
        try:
            done = subprocess.run([harness.BINARY, "check", copy], capture_output=True, text=True, timeout=60)
            wrong, failed = truth.wrong(s3)
        finally:
            with open(data, "r+b") as below, open(aside, "r+b") as beside:
                for f in (below, beside):
                    f.seek(at)
                    f.write(index[at:at + 1])
        assert not wrong, (told, wrong)
        # Of a branch's key only what tells its children apart matters; of free pages' numbers, which are listed.
        database, part = what.split(": ")
        assert done.returncode == 1 or (part == "branch" or database in ("free", "main")) and not failed, (told, done.stdout)
        unheeded += done.returncode == 0
        if server.process.poll() is not None:
            assert "store.crash" in server.log(), (told, server.process.poll())
            crashes += 1
            server.process = None
            server.start()
            s3 = client_for(server)
    assert truth.wrong(s3) == ([], 0)
    print(f"{unheeded} flips were of no consequence, {crashes} ended the server")
    server.stop()


def test_what_has_a_damaged_record_can_be_deleted_or_written_again(new_server):
    server = new_server(args=["--scrub-rate", "0", "--copy-interval", "0s"]).start()
    server.sound = False
    s3 = client_for(server)
    s3.create_bucket(Bucket="bucket")
    for key in ("deleted", "replaced", "sound"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"before", Metadata={"mark": f"needle-{key}"})
    data = server.data / "index" / "data.mdb"
    index = data.read_bytes()
    for key in (b"deleted", b"replaced"):
        for found in re.finditer(b"needle-" + key, index):
            flip(data, found.start())
    for key in ("deleted", "replaced"):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            s3.get_object(Bucket="bucket", Key=key)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    with pytest.raises(botocore.exceptions.ClientError):
        s3.list_objects_v2(Bucket="bucket")
    assert s3.get_object(Bucket="bucket", Key="sound")["Body"].read() == b"before"

    s3.delete_object(Bucket="bucket", Key="deleted")
    s3.put_object(Bucket="bucket", Key="replaced", Body=b"after")
    assert s3.get_object(Bucket="bucket", Key="replaced")["Body"].read() == b"after"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["replaced", "sound"]
    assert server.log().count("gives way to what comes now") == 2
    server.stop()


def test_a_server_without_its_index_does_not_start_and_removes_nothing(new_server):
    server = new_server().start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 500_000)
    server.stop()
    aside = server.data / "elsewhere"
    (server.data / "index").rename(aside)
    before = files(server)
    done = subprocess.run(server.command(), capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode != 0 and "holdfast rebuild" in done.stderr + done.stdout
    assert files(server) == before
    # What the refused start made of it, if anything, goes.
    shutil.rmtree(server.data / "index", ignore_errors=True)
    aside.rename(server.data / "index")
    server.start()
    assert client_for(server).get_object(Bucket="bucket", Key="k")["Body"].read() == b"x" * 500_000


def test_a_lost_index_comes_back_from_its_hot_copy_and_the_files(new_server):
    server = new_server(args=["--copy-interval", "1s"]).start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="bucket")
    source, bodies = random.Random(1), {}
    for i in range(60):
        key = f"dir{i % 7}/key-{i}" + "/long" * (i % 5 * 40)
        bodies[key] = source.randbytes(source.choice([0, 100, 10_000, 40_000, 700_000]))
        s3.put_object(Bucket="bucket", Key=key, Body=bodies[key], Metadata={"n": str(i)}, ContentType="text/x-test")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="multi")["UploadId"]
    parts = []
    for n, size in enumerate((5 << 20, 5 << 20, 1000), 1):
        body = source.randbytes(size)
        bodies["multi"] = bodies.get("multi", b"") + body
        etag = s3.upload_part(Bucket="bucket", Key="multi", UploadId=upload, PartNumber=n, Body=body)["ETag"]
        parts.append({"PartNumber": n, "ETag": etag})
    s3.complete_multipart_upload(Bucket="bucket", Key="multi", UploadId=upload, MultipartUpload={"Parts": parts})
    versions_before = s3.list_objects_v2(Bucket="bucket")["Contents"]

    # The second copy from now on began after the last write.
    copies, began, seen = server.data / "copies", time.time(), set()

    def two_copies():
        s3.put_object(Bucket="bucket", Key="nudge", Body=b"")
        seen.update(p.name for p in copies.glob("index-*") if p.stat().st_mtime > began)
        time.sleep(0.1)
        return len(seen) >= 2
    harness.wait_until("two copies", two_copies, 20)
    late = source.randbytes(800_000)
    server.kill()
    server.args = ["--copy-interval", "0s"]
    server.start()
    s3 = client_for(server)
    s3.put_object(Bucket="bucket", Key="late", Body=late, Metadata={"n": "late"})
    s3.put_object(Bucket="bucket", Key="late-small", Body=b"lives in the index alone")
    server.kill()

    # The index's pages are destroyed.
    data = server.data / "index" / "data.mdb"
    with open(data, "r+b") as f:
        for at in range(8192, os.path.getsize(data), 4096):
            f.seek(at)
            f.write(os.urandom(4096))
    said = holdfast("check", server.data, check=1)
    assert "holdfast rebuild" in said
    holdfast("rebuild", server.data, check=1)
    server.check()
    assert len(list(server.data.glob("index.damaged-*"))) == 1

    server.start()
    s3 = client_for(server)
    listed = {o["Key"]: o for o in s3.list_objects_v2(Bucket="bucket")["Contents"]}
    for o in versions_before:
        assert listed[o["Key"]]["ETag"] == o["ETag"] and listed[o["Key"]]["LastModified"] == o["LastModified"]
    for i, (key, body) in enumerate(bodies.items()):
        got = s3.get_object(Bucket="bucket", Key=key)
        assert got["Body"].read() == body, key
        if key != "multi":
            assert got["Metadata"] == {"n": str(i)} and got["ContentType"] == "text/x-test"
    got = s3.get_object(Bucket="bucket", Key="late")
    assert got["Body"].read() == late and got["Metadata"] == {"n": "late"}
    assert "late-small" not in listed
    s3.put_object(Bucket="bucket", Key="late-small", Body=b"again")
    server.stop()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 96 MiB: 9.6 MiB are its reserve."""
    where = tmp_path / "disk"
    where.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", where],
                                           capture_output=True).returncode != 0:
        pytest.skip("cannot mount a tmpfs")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def test_a_full_disk_refuses_writes_and_takes_deletes(new_server, small_disk):
    server = new_server(data=small_disk / "data").start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="bucket")
    body, n = os.urandom(3 << 20), 0
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        while n < 40:
            s3.put_object(Bucket="bucket", Key=f"big{n}", Body=body)
            n += 1
    assert 20 <= n < 40
    assert "are free, and the last" in refused.value.response["Error"]["Message"]
    # Inside the reserve a backup can still be finished.
    s3.put_object(Bucket="bucket", Key="small", Body=b"x" * 500_000)
    assert s3.get_object(Bucket="bucket", Key="small")["Body"].read() == b"x" * 500_000

    # To the last byte, behind the server's back.
    with open(small_disk / "other", "wb") as f:
        with pytest.raises(OSError):
            while True:
                f.write(b"x" * 65536)
                f.flush()
    with pytest.raises(botocore.exceptions.ClientError):
        time.sleep(0.2)
        s3.put_object(Bucket="bucket", Key="tiny", Body=b"x")
    left = [f"big{i}" for i in range(n)]
    for key in left[:10]:
        s3.delete_object(Bucket="bucket", Key=key)
    many = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": k} for k in left[10:]]})
    assert len(many["Deleted"]) == n - 10
    os.unlink(small_disk / "other")
    harness.wait_until("space", lambda: shutil.disk_usage(small_disk).free > 80 << 20, 10)
    time.sleep(0.2)
    for i in range(5):
        s3.put_object(Bucket="bucket", Key=f"again{i}", Body=body)
    server.stop()
    server.check()
