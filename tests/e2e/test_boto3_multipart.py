"""boto3: uploads in parts, their listings, copies into parts, and every way in which they are refused."""

import hashlib
import random
import shutil

import pytest

import harness
from conftest import bucket_name
from test_boto3_objects import refused

MIB = 1 << 20
PARTS = [random.Random(i).randbytes(5 * MIB + i * 1000) for i in range(2)] + [b"the last part may be small"]


def etag_of(parts):
    digest = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()
    return f'"{digest}-{len(parts)}"'


def begin(s3, bucket, key="m", **how):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **how)["UploadId"]


def send(s3, bucket, upload, number, body, key="m"):
    sent = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
    assert sent["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    return {"PartNumber": number, "ETag": sent["ETag"]}


def finish(s3, bucket, upload, parts, key="m", **how):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **how)


def test_parts_become_one_object(server, s3, bucket):
    upload = begin(s3, bucket, ContentType="text/m", Metadata={"a": "1"}, Tagging="t=1")
    parts = [send(s3, bucket, upload, n, body) for n, body in enumerate(PARTS, 1)]
    refused(404, "404", s3.head_object, Bucket=bucket, Key="m")
    done = finish(s3, bucket, upload, parts)
    assert done["ETag"] == etag_of(PARTS) and done["Bucket"] == bucket and done["Key"] == "m"
    got = s3.get_object(Bucket=bucket, Key="m")
    assert got["Body"].read() == b"".join(PARTS)
    assert got["ETag"] == etag_of(PARTS) and got["ContentType"] == "text/m" and got["Metadata"] == {"a": "1"}
    assert got["TagCount"] == 1
    refused(404, "NoSuchUpload", s3.list_parts, Bucket=bucket, Key="m", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_completing_again_after_a_lost_answer_is_not_an_error_or_says_no_such_upload(s3, bucket):
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, 1, b"x")]
    first = finish(s3, bucket, upload, parts)
    try:
        assert finish(s3, bucket, upload, parts)["ETag"] == first["ETag"]
    except s3.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == "NoSuchUpload"
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"x"


def test_a_part_sent_again_replaces_the_first(s3, bucket):
    upload = begin(s3, bucket)
    old = send(s3, bucket, upload, 1, PARTS[0])
    last = send(s3, bucket, upload, 2, b"end")
    new = send(s3, bucket, upload, 1, PARTS[1])
    refused(400, "InvalidPart", finish, s3=s3, bucket=bucket, upload=upload, parts=[old, last])
    finish(s3, bucket, upload, [new, last])
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == PARTS[1] + b"end"


def test_parts_may_come_in_any_order_with_gaps_and_be_left_out(s3, bucket):
    upload = begin(s3, bucket)
    sent = {n: send(s3, bucket, upload, n, body) for n, body in
            ((10000, b"end"), (7, PARTS[1]), (500, b"left out"), (2, PARTS[0]))}
    finish(s3, bucket, upload, [sent[2], sent[7], sent[10000]])
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == PARTS[0] + PARTS[1] + b"end"


def test_a_part_of_an_object_is_read_by_number(s3, bucket):
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, n, body) for n, body in enumerate(PARTS, 1)]
    finish(s3, bucket, upload, parts)
    offset = 0
    for number, body in enumerate(PARTS, 1):
        got = s3.get_object(Bucket=bucket, Key="m", PartNumber=number)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["Body"].read() == body and got["PartsCount"] == 3 and got["ETag"] == etag_of(PARTS)
        assert got["ContentRange"] == f"bytes {offset}-{offset + len(body) - 1}/{sum(map(len, PARTS))}"
        head = s3.head_object(Bucket=bucket, Key="m", PartNumber=number)
        assert head["ContentLength"] == len(body) and head["PartsCount"] == 3
        offset += len(body)
    refused(416, "InvalidPartNumber", s3.get_object, Bucket=bucket, Key="m", PartNumber=4)
    refused(400, "InvalidRequest", s3.get_object, Bucket=bucket, Key="m", PartNumber=1, Range="bytes=0-1")


def test_a_plain_object_is_its_own_first_part(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"plain")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert got["Body"].read() == b"plain"
    refused(416, "InvalidPartNumber", s3.get_object, Bucket=bucket, Key="k", PartNumber=2)


def test_ranges_cross_the_borders_of_parts(s3, bucket):
    upload = begin(s3, bucket)
    finish(s3, bucket, upload, [send(s3, bucket, upload, n, body) for n, body in enumerate(PARTS, 1)])
    whole, border = b"".join(PARTS), len(PARTS[0])
    for first, last in ((border - 1, border), (border, border), (border - 70000, border + 70000), (0, len(whole) - 1),
                        (border + len(PARTS[1]) - 3, len(whole) - 1)):
        got = s3.get_object(Bucket=bucket, Key="m", Range=f"bytes={first}-{last}")["Body"].read()
        assert got == whole[first:last + 1], (first, last)


def test_wrong_completions_are_refused_and_change_nothing(s3, bucket):
    upload = begin(s3, bucket)
    one, two = send(s3, bucket, upload, 1, PARTS[0]), send(s3, bucket, upload, 2, PARTS[1])
    small = send(s3, bucket, upload, 3, b"small")
    end = send(s3, bucket, upload, 4, b"end")
    for parts, code in (([two, one], "InvalidPartOrder"), ([one, one], "InvalidPartOrder"),
                        ([one, {"PartNumber": 9, "ETag": one["ETag"]}], "InvalidPart"),
                        ([{"PartNumber": 1, "ETag": two["ETag"]}], "InvalidPart"),
                        ([one, small, end], "EntityTooSmall"), ([], "MalformedXML")):
        refused(400, code, finish, s3=s3, bucket=bucket, upload=upload, parts=parts)
    refused(404, "404", s3.head_object, Bucket=bucket, Key="m")
    refused(404, "NoSuchUpload", finish, s3=s3, bucket=bucket, upload="none", parts=[one])
    refused(404, "NoSuchUpload", finish, s3=s3, bucket=bucket, upload=upload, parts=[one], key="other")
    finish(s3, bucket, upload, [one, two])


def test_part_numbers_outside_the_limits_are_refused(s3, bucket):
    upload = begin(s3, bucket)
    for number in (0, 10001, -1):
        refused(400, "InvalidArgument", s3.upload_part, Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=b"")


def test_an_aborted_upload_is_gone(s3, bucket):
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")
    answer = s3.abort_multipart_upload(Bucket=bucket, Key="m", UploadId=upload)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(404, "NoSuchUpload", s3.abort_multipart_upload, Bucket=bucket, Key="m", UploadId=upload)
    refused(404, "NoSuchUpload", s3.upload_part, Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")
    refused(404, "NoSuchUpload", s3.list_parts, Bucket=bucket, Key="m", UploadId=upload)
    refused(404, "NoSuchUpload", finish, s3=s3, bucket=bucket, upload=upload, parts=[part])
    s3.delete_bucket(Bucket=bucket)


def test_two_uploads_of_one_key_do_not_touch_each_other(s3, bucket):
    first, second = begin(s3, bucket), begin(s3, bucket)
    a, b = send(s3, bucket, first, 1, b"first"), send(s3, bucket, second, 1, b"second")
    finish(s3, bucket, second, [b])
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"second"
    finish(s3, bucket, first, [a])
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"first"


def test_conditions_on_completion(s3, bucket):
    s3.put_object(Bucket=bucket, Key="m", Body=b"there")
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"x")
    refused(412, "PreconditionFailed", finish, s3=s3, bucket=bucket, upload=upload, parts=[part], IfNoneMatch="*")
    refused(412, "PreconditionFailed", finish, s3=s3, bucket=bucket, upload=upload, parts=[part], IfMatch='"other"')
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"there"
    etag = s3.head_object(Bucket=bucket, Key="m")["ETag"]
    finish(s3, bucket, upload, [part], IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == b"x"


def test_parts_copied_from_objects(s3, bucket):
    source = random.Random(9).randbytes(12 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=source)
    upload = begin(s3, bucket)
    parts = []
    for number, asked in ((1, "bytes=0-5242879"), (2, "bytes=5242880-11534335"), (3, None)):
        how = {"CopySourceRange": asked} if asked else {}
        copied = s3.upload_part_copy(Bucket=bucket, Key="m", UploadId=upload, PartNumber=number,
                                     CopySource=f"{bucket}/source", **how)["CopyPartResult"]
        assert copied["LastModified"]
        parts.append({"PartNumber": number, "ETag": copied["ETag"]})
    assert parts[0]["ETag"] == f'"{hashlib.md5(source[:5242880]).hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="source")
    finish(s3, bucket, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == source[:11534336] + source


def test_wrong_copies_into_parts_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    upload = begin(s3, bucket)
    where = {"Bucket": bucket, "Key": "m", "UploadId": upload, "PartNumber": 1}
    refused(404, "NoSuchKey", s3.upload_part_copy, **where, CopySource=f"{bucket}/none")
    for asked in ("bytes=0-10", "bytes=5-", "bytes=-3", "bytes=4-2", "0-4"):
        with pytest.raises(s3.exceptions.ClientError) as caught:
            s3.upload_part_copy(**where, CopySource=f"{bucket}/source", CopySourceRange=asked)
        assert caught.value.response["Error"]["Code"] in ("InvalidArgument", "InvalidRange"), asked
    refused(412, "PreconditionFailed", s3.upload_part_copy, **where, CopySource=f"{bucket}/source", CopySourceIfMatch='"x"')


def test_parts_are_listed_in_pages(s3, bucket):
    upload = begin(s3, bucket)
    numbers = [1, 2, 5, 9, 10000]
    for n in numbers:
        send(s3, bucket, upload, n, b"x" * n)
    for size in (1, 2, 4, 5, 1000):
        seen, marker = [], 0
        while True:
            page = s3.list_parts(Bucket=bucket, Key="m", UploadId=upload, MaxParts=size, PartNumberMarker=marker)
            assert len(page["Parts"]) <= size and page["MaxParts"] == size
            seen += page["Parts"]
            if not page["IsTruncated"]:
                break
            marker = page["NextPartNumberMarker"]
        assert [p["PartNumber"] for p in seen] == numbers and [p["Size"] for p in seen] == numbers
        assert all(p["LastModified"] and p["ETag"] for p in seen)


def test_uploads_are_listed_in_pages_by_key_and_with_delimiters(s3, bucket):
    keys = ["a", "a", "a/1", "a/2", "b/1", "c", "ö"]
    uploads = [(k, begin(s3, bucket, key=k)) for k in keys]
    for size in (1, 2, 3, 7, 1000):
        seen, markers = [], {}
        while True:
            page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=size, **markers)
            seen += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
            assert all(u["Initiated"] and u["StorageClass"] == "STANDARD" for u in page.get("Uploads", []))
            if not page["IsTruncated"]:
                break
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        assert sorted(seen) == sorted(uploads) and [k for k, _ in seen] == keys, size
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in page["Uploads"]] == ["a", "a", "c", "ö"]
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/", "b/"]
    page = s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")
    assert [u["Key"] for u in page["Uploads"]] == ["a/1", "a/2"]
    page = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a/2")
    assert [u["Key"] for u in page["Uploads"]] == ["b/1", "c", "ö"]


def test_a_multipart_object_in_a_versioned_bucket_is_a_version(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="m", Body=b"old")["VersionId"]
    upload = begin(s3, bucket)
    done = finish(s3, bucket, upload, [send(s3, bucket, upload, 1, b"new")])
    assert done["VersionId"] != old
    assert s3.get_object(Bucket=bucket, Key="m")["VersionId"] == done["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="m", VersionId=old)["Body"].read() == b"old"


def test_a_bucket_with_an_unfinished_upload_can_be_told_from_an_empty_one(s3):
    name = bucket_name()
    s3.create_bucket(Bucket=name)
    upload = begin(s3, name)
    send(s3, name, upload, 1, b"x")
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=name)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=name, Key="m", UploadId=upload)
    s3.delete_bucket(Bucket=name)


@pytest.mark.timeout(3600 if harness.BIG else 180)
def test_as_many_parts_as_there_may_be_make_an_object(server, raw, s3, bucket):
    """Ten thousand parts by night, where the disk has room for their 50 GiB; less otherwise."""
    room = shutil.disk_usage(getattr(server, "own_root", "/")).free
    count = min(10000, room // (4 * 5 * MIB)) if harness.BIG else 60
    source = random.Random(5).randbytes(5 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=source)
    upload = begin(s3, bucket)
    with raw.connect(timeout=60) as c:
        for number in range(1, count + 1):
            c.send(raw.build("PUT", f"/{bucket}/m", query=[("partNumber", str(number)), ("uploadId", upload)],
                             headers=[("x-amz-copy-source", f"/{bucket}/source")]))
            answer = c.read()
            assert answer.status == 200, answer
    etag = f'"{hashlib.md5(source).hexdigest()}"'
    done = finish(s3, bucket, upload, [{"PartNumber": n, "ETag": etag} for n in range(1, count + 1)])
    assert done["ETag"].endswith(f'-{count}"')
    assert s3.head_object(Bucket=bucket, Key="m")["ContentLength"] == count * 5 * MIB
    last = s3.get_object(Bucket=bucket, Key="m", PartNumber=count)
    assert last["Body"].read() == source
