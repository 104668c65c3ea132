"""Requests that overlap on one object or bucket: each sees the old or the new, whole, and nothing is left behind."""

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest

from conftest import bucket_name

LARGE = random.Random(1).randbytes(32 << 20)


def outcome(call, **how):
    try:
        call(**how)
        return "ok"
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]


@pytest.mark.parametrize("change", ["overwrite", "delete"])
def test_a_download_under_way_ends_with_what_it_began(s3, raw, bucket, change):
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE)
    with raw.connect() as c:
        c.send(raw.build("GET", f"/{bucket}/k"))
        while len(c.buffer) < 100_000:
            c._more()
        if change == "overwrite":
            s3.put_object(Bucket=bucket, Key="k", Body=b"new")
        else:
            s3.delete_object(Bucket=bucket, Key="k")
        assert c.read().body == LARGE
    assert outcome(s3.head_object, Bucket=bucket, Key="k") == ("ok" if change == "overwrite" else "404")


def test_a_bucket_that_goes_during_an_upload_refuses_it_at_the_end(s3, raw):
    name = bucket_name()
    s3.create_bucket(Bucket=name)
    whole = raw.build("PUT", f"/{name}/k", body=LARGE[:500_000])
    with raw.connect() as c:
        c.send(whole[:300_000])
        s3.delete_bucket(Bucket=name)
        c.send(whole[300_000:])
        assert c.read().code == "NoSuchBucket"
    s3.create_bucket(Bucket=name)
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_a_bucket_is_removed_or_written_to_but_not_both(s3):
    with ThreadPoolExecutor(8) as pool:
        for _ in range(15):
            name = bucket_name()
            s3.create_bucket(Bucket=name)
            puts = [pool.submit(outcome, s3.put_object, Bucket=name, Key=f"k{i}", Body=b"x") for i in range(3)]
            removed = pool.submit(outcome, s3.delete_bucket, Bucket=name).result()
            put = [p.result() for p in puts]
            if removed == "ok":
                assert outcome(s3.head_bucket, Bucket=name) == "404" and "ok" not in put, (removed, put)
            else:
                assert removed == "BucketNotEmpty" and "ok" in put, (removed, put)
                keys = [o["Key"] for o in s3.list_objects_v2(Bucket=name).get("Contents", [])]
                assert keys == [f"k{i}" for i in range(3) if put[i] == "ok"]


def test_an_upload_is_completed_or_aborted_but_not_both(s3, bucket):
    with ThreadPoolExecutor(8) as pool:
        for i in range(15):
            upload = s3.create_multipart_upload(Bucket=bucket, Key=f"m{i}")["UploadId"]
            where = {"Bucket": bucket, "Key": f"m{i}", "UploadId": upload}
            etag = s3.upload_part(**where, PartNumber=1, Body=b"part")["ETag"]
            ends = [pool.submit(outcome, s3.complete_multipart_upload, **where,
                                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}),
                    pool.submit(outcome, s3.abort_multipart_upload, **where)]
            completed, aborted = (e.result() for e in ends)
            there = outcome(s3.head_object, Bucket=bucket, Key=f"m{i}")
            assert (completed, aborted, there) in (("ok", "NoSuchUpload", "ok"), ("NoSuchUpload", "ok", "404"))
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_part_sent_again_while_the_upload_completes_is_in_or_out(s3, bucket):
    one, two = LARGE[:5 << 20], LARGE[5 << 20:10 << 20]
    etags = [f'"{hashlib.md5(b).hexdigest()}"' for b in (one, two)]
    with ThreadPoolExecutor(4) as pool:
        for i in range(6):
            upload = s3.create_multipart_upload(Bucket=bucket, Key=f"m{i}")["UploadId"]
            where = {"Bucket": bucket, "Key": f"m{i}", "UploadId": upload}
            s3.upload_part(**where, PartNumber=1, Body=one)
            again = pool.submit(outcome, s3.upload_part, **where, PartNumber=1, Body=two)
            completed = outcome(s3.complete_multipart_upload, **where,
                                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etags[0]}]})
            sent = again.result()
            if completed == "ok":
                assert s3.get_object(Bucket=bucket, Key=f"m{i}")["Body"].read() == one and sent in ("ok", "NoSuchUpload")
            else:
                assert (completed, sent) == ("InvalidPart", "ok")
                s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etags[1]}]})
                assert s3.get_object(Bucket=bucket, Key=f"m{i}")["Body"].read() == two


def test_copies_of_an_object_that_is_deleted_meanwhile_are_whole_or_absent(s3, bucket):
    body = LARGE[:3 << 20]
    with ThreadPoolExecutor(8) as pool:
        for i in range(8):
            s3.put_object(Bucket=bucket, Key="source", Body=body)
            copies = [pool.submit(outcome, s3.copy_object, Bucket=bucket, Key=f"c{i}-{n}", CopySource=f"{bucket}/source")
                      for n in range(4)]
            s3.delete_object(Bucket=bucket, Key="source")
            for n, copied in enumerate(copies):
                if copied.result() == "ok":
                    assert s3.get_object(Bucket=bucket, Key=f"c{i}-{n}")["Body"].read() == body
                else:
                    assert copied.result() == "NoSuchKey"
                    assert outcome(s3.head_object, Bucket=bucket, Key=f"c{i}-{n}") == "404"


def test_readers_of_a_key_that_is_written_all_the_time_see_whole_objects(s3, bucket):
    bodies = [random.Random(i).randbytes(size) for i, size in enumerate([100, 5000, 70_000, 300_000, 1_000_000])]
    known = {hashlib.md5(b).hexdigest(): b for b in bodies}
    s3.put_object(Bucket=bucket, Key="k", Body=bodies[0])

    def write(n):
        for i in range(20):
            s3.put_object(Bucket=bucket, Key="k", Body=bodies[(n + i) % len(bodies)])

    def read(_):
        for _ in range(30):
            got = s3.get_object(Bucket=bucket, Key="k")
            assert got["Body"].read() == known[got["ETag"].strip('"')]

    with ThreadPoolExecutor(6) as pool:
        for job in [*(pool.submit(write, n) for n in range(3)), *(pool.submit(read, n) for n in range(3))]:
            job.result()


def test_a_thousand_deletes_at_once_with_writers_leave_no_ghosts(s3, bucket):
    keys = [f"{i:03}" for i in range(300)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            list(pool.map(lambda k: s3.put_object(Bucket=bucket, Key=k, Body=k.encode()), keys))
            jobs = [pool.submit(s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys[n::3]]})
                    for n in range(3)]
            jobs += [pool.submit(s3.put_object, Bucket=bucket, Key=k, Body=b"again") for k in keys[::10]]
            for job in jobs:
                job.result()
            left = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
            assert set(left) <= set(keys[::10])
            for key in left:
                assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() in (b"again", key.encode())
