"""boto3: buckets, objects, ranges, conditions, copies, deletes, tags, and the code and status of each refusal."""

import datetime
import hashlib
import io
import random

import botocore.exceptions
import pytest

from conftest import bucket_name, client_for

BODY = bytes(range(256)) * 40


def refused(status, code, call, **how):
    """Asserts that call answers with exactly this status and code; a HEAD has no body, so its code is its status."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**how)
    answer = caught.value.response
    got = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
    assert got == (status, code), answer
    return answer


# Buckets


def test_a_bucket_is_made_listed_and_removed(s3):
    name = bucket_name()
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    made = s3.create_bucket(Bucket=name)
    assert made["Location"] == f"/{name}"
    listed = s3.list_buckets()
    assert listed["Owner"]["ID"]
    mine = [b for b in listed["Buckets"] if b["Name"] == name]
    assert len(mine) == 1 and mine[0]["CreationDate"] >= before
    names = [b["Name"] for b in listed["Buckets"]]
    assert names == sorted(names)
    assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.delete_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(404, "404", s3.head_bucket, Bucket=name)
    refused(404, "NoSuchBucket", s3.delete_bucket, Bucket=name)
    assert name not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_making_ones_own_bucket_again_answers_as_us_east_1_does_or_refuses_by_name(s3, bucket):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    try:
        s3.create_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"x"


def test_a_bucket_that_is_not_empty_stays(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("name", ["ab", "Upper-case", "under_score", "-dash", "dash-", "two..dots", "192.168.1.1", "a" * 64])
def test_a_bucket_name_that_s3_forbids_is_refused(raw, name):
    answer = raw.put(f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName"), answer


def test_the_location_of_a_bucket_is_told(s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    other = bucket_name()
    s3.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert s3.head_bucket(Bucket=other)["ResponseMetadata"]["HTTPStatusCode"] == 200
    refused(404, "NoSuchBucket", s3.get_bucket_location, Bucket=bucket_name())


def test_what_a_bucket_does_not_have_is_answered_as_aws_answers_none(s3, bucket):
    refused(404, "NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    refused(404, "NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=bucket)
    refused(404, "NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    refused(404, "ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration, Bucket=bucket)
    refused(404, "NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, Bucket=bucket)
    refused(404, "OwnershipControlsNotFoundError", s3.get_bucket_ownership_controls, Bucket=bucket)
    refused(404, "ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption, Bucket=bucket)
    acl = s3.get_bucket_acl(Bucket=bucket)
    assert [g["Permission"] for g in acl["Grants"]] == ["FULL_CONTROL"]
    assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]


def test_what_would_change_those_is_not_implemented_by_name(s3, bucket):
    refused(501, "NotImplemented", s3.put_bucket_policy, Bucket=bucket, Policy="{}")
    refused(501, "NotImplemented", s3.put_bucket_cors, Bucket=bucket,
            CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    refused(501, "NotImplemented", s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={
        "Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]})
    refused(501, "NotImplemented", s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    refused(501, "NotImplemented", s3.put_object_lock_configuration, Bucket=bucket,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    refused(501, "NotImplemented", s3.put_public_access_block, Bucket=bucket,
            PublicAccessBlockConfiguration={"BlockPublicAcls": True})


def test_bucket_tags_are_put_read_and_removed(s3, bucket):
    refused(404, "NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    tags = [{"Key": "team", "Value": "backup + restore: a=b"}, {"Key": "ümlaut", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    got = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert sorted(got, key=lambda t: t["Key"]) == tags
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(404, "NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)


# Objects


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 65535, 65536, 65537, 200_000, 5_000_001])
def test_an_object_comes_back_byte_for_byte(s3, bucket, size):
    body = random.Random(size).randbytes(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == size and got["ETag"] == put["ETag"]
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentLength"] == size and head["ETag"] == put["ETag"]
    assert head["LastModified"] == got["LastModified"]
    assert head["AcceptRanges"] == "bytes"


def test_headers_and_metadata_come_back_as_sent(s3, bucket):
    sent = {"CacheControl": "no-cache", "ContentDisposition": 'attachment; filename="a b.txt"', "ContentEncoding": "gzip",
            "ContentLanguage": "de", "ContentType": "application/x-thing",
            "Expires": datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
            "Metadata": {"colour": "blue", "note": "a  b", "mixed-case": "MiXeD"}}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **sent)
    for answer in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert {name: answer[name] for name in sent} == sent


def test_an_object_without_a_type_is_a_binary_stream(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


def test_a_second_put_replaces_everything_of_the_first(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", Metadata={"a": "1"}, ContentType="text/a", Tagging="t=1")
    first = s3.head_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    second = s3.get_object(Bucket=bucket, Key="k")
    assert second["Body"].read() == b"2" and second["Metadata"] == {}
    assert second["ContentType"] == "binary/octet-stream" and "TagCount" not in second
    assert second["LastModified"] >= first["LastModified"]


def test_missing_things_are_told_apart(s3, bucket):
    none = bucket_name()
    answer = refused(404, "NoSuchKey", s3.get_object, Bucket=bucket, Key="none")
    assert answer["Error"]["Resource"] == f"/{bucket}/none" and answer["ResponseMetadata"]["RequestId"]
    refused(404, "404", s3.head_object, Bucket=bucket, Key="none")
    refused(404, "NoSuchBucket", s3.get_object, Bucket=none, Key="none")
    refused(404, "NoSuchBucket", s3.put_object, Bucket=none, Key="k", Body=b"x")
    refused(404, "NoSuchBucket", s3.delete_object, Bucket=none, Key="k")
    refused(404, "NoSuchBucket", s3.list_objects_v2, Bucket=none)
    refused(404, "NoSuchBucket", s3.list_objects, Bucket=none)
    refused(404, "NoSuchBucket", s3.create_multipart_upload, Bucket=none, Key="k")
    refused(404, "NoSuchKey", s3.get_object_tagging, Bucket=bucket, Key="none")
    refused(404, "NoSuchKey", s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/none")
    refused(404, "NoSuchBucket", s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{none}/none")
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_metadata_above_two_kilobytes_is_refused(s3, bucket):
    refused(400, "MetadataTooLarge", s3.put_object, Bucket=bucket, Key="k", Body=b"", Metadata={"m": "x" * 3000})
    refused(404, "404", s3.head_object, Bucket=bucket, Key="k")


# Ranges


@pytest.fixture
def ranged(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY)
    return bucket


@pytest.mark.parametrize("asked,first,last", [
    ("bytes=0-0", 0, 0), ("bytes=0-", 0, 10239), ("bytes=5-9", 5, 9), ("bytes=10239-", 10239, 10239),
    ("bytes=-1", 10239, 10239), ("bytes=-10240", 0, 10239), ("bytes=-99999", 0, 10239), ("bytes=9000-99999", 9000, 10239)])
def test_a_range_is_answered_with_just_those_bytes(s3, ranged, asked, first, last):
    got = s3.get_object(Bucket=ranged, Key="k", Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {first}-{last}/10240"
    assert got["ContentLength"] == last - first + 1 and got["Body"].read() == BODY[first:last + 1]
    head = s3.head_object(Bucket=ranged, Key="k", Range=asked)
    assert head["ResponseMetadata"]["HTTPStatusCode"] == 206 and head["ContentLength"] == last - first + 1


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=10240-10250", "bytes=99999-", "bytes=-0"])
def test_a_range_outside_the_object_is_416(s3, ranged, asked):
    refused(416, "InvalidRange", s3.get_object, Bucket=ranged, Key="k", Range=asked)
    refused(416, "416", s3.head_object, Bucket=ranged, Key="k", Range=asked)


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=a-b", "bytes", "lines=0-1", "bytes=0-1,4-5", "bytes=-"])
def test_a_range_that_is_none_is_ignored(s3, ranged, asked):
    got = s3.get_object(Bucket=ranged, Key="k", Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200 and got["Body"].read() == BODY


def test_any_range_of_an_empty_object_is_416_as_kopia_expects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    refused(416, "InvalidRange", s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-1")
    refused(416, "InvalidRange", s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-")


def test_random_ranges_over_block_boundaries_are_exact(s3, bucket):
    source = random.Random(7)
    body = source.randbytes(5 * 65536 + 123)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for _ in range(60):
        first = source.choice([source.randrange(len(body)), 65536 * source.randrange(5) + source.randrange(-1, 2)])
        first = max(first, 0)
        last = min(first + source.choice([0, 1, 65535, 65536, 65537, 200000]), len(body) - 1)
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")["Body"].read()
        assert got == body[first:last + 1], (first, last)


# Conditions on reads


def test_conditions_on_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    hour = datetime.timedelta(hours=1)
    where = {"Bucket": bucket, "Key": "k"}
    for fine in ({"IfMatch": etag}, {"IfMatch": "*"}, {"IfNoneMatch": '"other"'}, {"IfModifiedSince": modified - hour},
                 {"IfUnmodifiedSince": modified}, {"IfMatch": etag, "IfUnmodifiedSince": modified - hour},
                 {"IfMatch": etag.strip('"')}):
        assert s3.get_object(**where, **fine)["Body"].read() == b"x", fine
        s3.head_object(**where, **fine)
    for failing in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": modified - hour}):
        refused(412, "PreconditionFailed", s3.get_object, **where, **failing)
        refused(412, "412", s3.head_object, **where, **failing)
    for unchanged in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": modified},
                      {"IfNoneMatch": etag, "IfModifiedSince": modified - hour}):
        answer = refused(304, "304", s3.get_object, **where, **unchanged)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag
        refused(304, "304", s3.head_object, **where, **unchanged)


def test_the_caller_may_name_headers_of_the_answer(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/a")
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/b", ResponseCacheControl="max-age=1",
                        ResponseContentDisposition="inline", ResponseContentEncoding="identity",
                        ResponseContentLanguage="fr", ResponseExpires=datetime.datetime(2030, 1, 1))
    assert (got["ContentType"], got["CacheControl"], got["ContentDisposition"], got["ContentEncoding"],
            got["ContentLanguage"]) == ("text/b", "max-age=1", "inline", "identity", "fr")
    assert got["Expires"].year == 2030
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/a"


# Conditions on writes


def test_put_only_if_absent(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")
    refused(412, "PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"two", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"one"


def test_put_only_over_the_version_one_knows(s3, bucket):
    refused(404, "NoSuchKey", s3.put_object, Bucket=bucket, Key="k", Body=b"two", IfMatch='"x"')
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["ETag"]
    refused(412, "PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"two", IfMatch='"x"')
    s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch=etag)
    refused(412, "PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"three", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"


def test_delete_only_the_version_one_knows(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["ETag"]
    refused(412, "PreconditionFailed", s3.delete_object, Bucket=bucket, Key="k", IfMatch='"x"')
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"one"
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    refused(404, "NoSuchKey", s3.get_object, Bucket=bucket, Key="k")


def test_one_of_many_racing_creators_wins(server, s3, bucket):
    from concurrent.futures import ThreadPoolExecutor

    def create(i):
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=str(i).encode(), IfNoneMatch="*")
            return i
        except botocore.exceptions.ClientError as e:
            assert e.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), e
            return None

    with ThreadPoolExecutor(16) as pool:
        winners = [i for i in pool.map(create, range(48)) if i is not None]
    assert len(winners) == 1
    assert s3.get_object(Bucket=bucket, Key="lock")["Body"].read() == str(winners[0]).encode()


# Copies


def test_a_copy_has_the_bytes_headers_and_tags_of_its_source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/ö +%&?", Body=BODY, ContentType="text/a", Metadata={"m": "1"}, Tagging="t=1")
    copied = s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a/ö +%&?"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="b")
    assert got["Body"].read() == BODY and got["ContentType"] == "text/a" and got["Metadata"] == {"m": "1"}
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.delete_object(Bucket=bucket, Key="a/ö +%&?")
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == BODY


def test_a_copy_may_have_headers_and_tags_of_its_own(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentType="text/a", Metadata={"m": "1"}, Tagging="t=1")
    s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a", MetadataDirective="REPLACE", ContentType="text/b",
                   Metadata={"n": "2"}, TaggingDirective="REPLACE", Tagging="u=2&v=3")
    head = s3.head_object(Bucket=bucket, Key="b")
    assert head["ContentType"] == "text/b" and head["Metadata"] == {"n": "2"}
    tags = s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"]
    assert sorted(t["Key"] for t in tags) == ["u", "v"]


def test_a_copy_onto_itself_must_change_something(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"m": "1"})
    refused(400, "InvalidRequest", s3.copy_object, Bucket=bucket, Key="a", CopySource=f"{bucket}/a")
    s3.copy_object(Bucket=bucket, Key="a", CopySource=f"{bucket}/a", MetadataDirective="REPLACE", Metadata={"m": "2"})
    got = s3.get_object(Bucket=bucket, Key="a")
    assert got["Metadata"] == {"m": "2"} and got["Body"].read() == b"x"


def test_conditions_on_the_source_of_a_copy(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    where = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
    for failing in ({"CopySourceIfMatch": '"other"'}, {"CopySourceIfNoneMatch": etag},
                    {"CopySourceIfUnmodifiedSince": datetime.datetime(2001, 1, 1)}):
        refused(412, "PreconditionFailed", s3.copy_object, **where, **failing)
    s3.copy_object(**where, CopySourceIfMatch=etag)
    refused(412, "PreconditionFailed", s3.copy_object, **where, IfNoneMatch="*")


def test_a_copy_between_buckets(s3, bucket):
    other = bucket_name()
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=bucket, Key="a", Body=BODY)
    s3.copy_object(Bucket=other, Key="a", CopySource=f"/{bucket}/a")
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_bucket(Bucket=bucket)
    assert s3.get_object(Bucket=other, Key="a")["Body"].read() == BODY


# Many at once


def test_deleting_many_answers_for_each(s3, bucket):
    keys = [f"k{i}" for i in range(1000)]
    for key in keys[:20]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.put_object(Bucket=bucket, Key="stays", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys]})
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted(keys) and "Errors" not in answer
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["stays"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "stays"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_deleting_more_than_a_thousand_is_refused(s3, bucket):
    refused(400, "MalformedXML", s3.delete_objects, Bucket=bucket,
            Delete={"Objects": [{"Key": f"k{i}"} for i in range(1001)]})


def test_keys_that_xml_must_escape_survive_a_bulk_delete(s3, bucket):
    keys = ["a&b", "<tag>", '"quoted"', "o'clock", "]]>", "tab\tand\nnewline", "snow☃man"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys]})
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


# Tags


def test_object_tags_are_put_counted_read_and_removed(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=%2B%3D%20+x")
    expected = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "+=  x"}]
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == expected
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "c", "Value": "3"}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("tags", [
    [{"Key": f"k{i}", "Value": ""} for i in range(11)], [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}],
    [{"Key": "k" * 129, "Value": ""}], [{"Key": "k", "Value": "v" * 257}]],
    ids=["eleven", "twice", "long key", "long value"])
def test_tags_beyond_the_limits_are_refused(s3, bucket, tags):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert caught.value.response["Error"]["Code"] in ("InvalidTag", "BadRequest")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


# Attributes, ACL, presigned


def test_attributes_of_an_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm="SHA256")
    got = s3.get_object_attributes(Bucket=bucket, Key="k",
                                   ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts"])
    assert got["ETag"] == hashlib.md5(BODY).hexdigest() and got["ObjectSize"] == len(BODY)
    assert got["StorageClass"] == "STANDARD" and got["Checksum"]["ChecksumSHA256"] and "ObjectParts" not in got
    only = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert "ETag" not in only and only["ObjectSize"] == len(BODY)
    refused(404, "NoSuchKey", s3.get_object_attributes, Bucket=bucket, Key="none", ObjectAttributes=["ETag"])


def test_the_acl_of_an_object_is_its_owners(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    acl = s3.get_object_acl(Bucket=bucket, Key="k")
    assert [g["Permission"] for g in acl["Grants"]] == ["FULL_CONTROL"]
    refused(404, "NoSuchKey", s3.get_object_acl, Bucket=bucket, Key="none")


def test_an_upload_of_a_stream_of_unknown_seekability(s3, bucket):
    body = random.Random(3).randbytes(3_000_000)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k")
    out = io.BytesIO()
    s3.download_fileobj(bucket, "k", out)
    assert out.getvalue() == body


def test_large_transfers_by_parts_in_parallel(s3, bucket):
    from boto3.s3.transfer import TransferConfig
    body = random.Random(4).randbytes(40 << 20)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=6)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=config)
    out = io.BytesIO()
    s3.download_fileobj(bucket, "k", out, Config=config)
    assert out.getvalue() == body
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-8"')
    s3.copy({"Bucket": bucket, "Key": "k"}, bucket, "copied", Config=config)
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == body


def test_wrong_credentials_are_told_apart(server, bucket):
    refused(403, "InvalidAccessKeyId", client_for(server, access_key="nobody-here").list_objects_v2, Bucket=bucket)
    refused(403, "SignatureDoesNotMatch", client_for(server, secret_key="wrong").list_objects_v2, Bucket=bucket)
    refused(403, "403", client_for(server, secret_key="wrong").head_bucket, Bucket=bucket)
