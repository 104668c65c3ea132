"""What is damaged or lost here is read from outside, served, and healed."""

import concurrent.futures
import random

import botocore.exceptions
import harness
import pytest
from holdfasts import SCRUB_OFF, add, client, files, flip, metric, wait_settled

BLOCK = 64 * 1024
PART = 5 << 20


@pytest.fixture
def pair(holdfasts):
    """A near server with a far one as its destination, and a bucket."""
    near, far = holdfasts(args=SCRUB_OFF).start(), holdfasts(args=SCRUB_OFF).start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    return near, far, s3


def put_parts(s3, key, body, size=PART):
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    parts = []
    for n, at in enumerate(range(0, len(body), size), 1):
        etag = s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=n, Body=body[at:at + size])["ETag"]
        parts.append({"PartNumber": n, "ETag": etag})
    s3.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def test_a_damaged_block_and_a_lost_file_are_read_from_outside(pair):
    near, far, s3 = pair
    body = random.Random(1).randbytes(20 * BLOCK + 17)
    s3.put_object(Bucket="bucket", Key="block", Body=body, Metadata={"a": "b"})
    s3.put_object(Bucket="bucket", Key="gone", Body=body[::-1])
    put_parts(s3, "parts", body * 9)
    wait_settled(near)
    found = files(near)
    flip(found[0], 7 * BLOCK + 3)
    found[1].unlink()
    found[2].unlink()
    flip(found[3], 100)
    assert s3.get_object(Bucket="bucket", Key="block")["Body"].read() == body
    assert s3.get_object(Bucket="bucket", Key="gone")["Body"].read() == body[::-1]
    got = s3.get_object(Bucket="bucket", Key="parts")
    assert got["Body"].read() == body * 9
    assert metric(near, "damaged_contents_total") == 4
    harness.wait_until("the healing", lambda: metric(near, "healed_contents_total") == 4, 20)
    # And no longer from there.
    far.stop()
    assert s3.get_object(Bucket="bucket", Key="block")["Body"].read() == body
    assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == body * 9
    far.start()


def test_a_copy_and_a_range_are_healed_too(pair):
    near, far, s3 = pair
    body = random.Random(2).randbytes(30 * BLOCK)
    s3.put_object(Bucket="bucket", Key="one", Body=body)
    s3.copy_object(Bucket="bucket", Key="two", CopySource="bucket/one")
    s3.delete_object(Bucket="bucket", Key="one")
    wait_settled(near)
    flip(files(near)[0], 11 * BLOCK)
    got = s3.get_object(Bucket="bucket", Key="two", Range=f"bytes={11 * BLOCK - 5}-{11 * BLOCK + 5}")["Body"].read()
    assert got == body[11 * BLOCK - 5:11 * BLOCK + 6]
    harness.wait_until("the healing", lambda: metric(near, "healed_contents_total") == 1, 20)
    flip(files(near)[0], 12 * BLOCK)
    # A new copy is not outside itself, but what it shares is.
    s3.copy_object(Bucket="bucket", Key="three", CopySource="bucket/two", MetadataDirective="REPLACE")
    with pytest.raises((botocore.exceptions.ResponseStreamingError, botocore.exceptions.ClientError)):
        s3.get_object(Bucket="bucket", Key="three")["Body"].read()
    harness.wait_until("the healing", lambda: metric(near, "healed_contents_total") == 2, 20)
    assert s3.get_object(Bucket="bucket", Key="three")["Body"].read() == body


def test_the_scrubber_heals_what_nobody_reads(pair):
    near, far, s3 = pair
    bodies = [random.Random(i).randbytes(3 * BLOCK + i) for i in range(12)]
    for i, body in enumerate(bodies):
        s3.put_object(Bucket="bucket", Key=f"k{i}", Body=body)
    wait_settled(near)
    near.stop()
    found = files(near)
    flip(found[3], 70_000)
    found[5].unlink()
    with open(found[7], "r+b") as f:
        f.truncate(BLOCK)
    near.args = ["--scrub-rate", "1GiB"]
    near.start()
    harness.wait_until("the healing", lambda: metric(near, "healed_contents_total") == 3, 30)
    far.stop()
    s3 = client(near)
    for i, body in enumerate(bodies):
        assert s3.get_object(Bucket="bucket", Key=f"k{i}")["Body"].read() == body
    far.start()


def test_many_readers_of_a_lost_file_get_the_right_bytes_or_an_error(pair):
    near, far, s3 = pair
    body = random.Random(3).randbytes(100 * BLOCK)
    s3.put_object(Bucket="bucket", Key="k", Body=body)
    wait_settled(near)
    files(near)[0].unlink()

    def read(_):
        try:
            return s3.get_object(Bucket="bucket", Key="k")["Body"].read()
        except s3.exceptions.ClientError as e:
            assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 500
            return None

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = list(pool.map(read, range(16)))
    assert all(g is None or g == body for g in got) and body in got
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body


def test_outside_is_not_asked_about_what_does_not_exist(pair):
    near, far, s3 = pair
    s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 200_000)
    client(far).put_object(Bucket="outside", Key="copies/bucket/other", Body=b"y")
    wait_settled(near)
    far.mark()
    before = metric(far, "http_requests_total")
    for _ in range(20):
        with pytest.raises(s3.exceptions.ClientError):
            s3.get_object(Bucket="bucket", Key="other")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"x" * 200_000
    # The owner's file is looked at now and then, and this very question counts.
    assert metric(far, "http_requests_total") - before < 10


def test_another_objects_bytes_outside_are_not_served(pair):
    near, far, s3 = pair
    body = random.Random(4).randbytes(10 * BLOCK)
    s3.put_object(Bucket="bucket", Key="k", Body=body)
    wait_settled(near)
    there = client(far).head_object(Bucket="outside", Key="copies/bucket/k")
    client(far).put_object(Bucket="outside", Key="copies/bucket/k", Body=body[::-1], Metadata=there["Metadata"])
    files(near)[0].unlink()
    near.sound = False
    with pytest.raises(s3.exceptions.ClientError):
        s3.get_object(Bucket="bucket", Key="k")
    assert metric(near, "healed_contents_total") == 0
