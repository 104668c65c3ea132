"""boto3: every checksum algorithm, in header and trailer, whole and by parts, right and wrong."""

import base64
import hashlib
import io
import random
import zlib

import botocore.exceptions
import pytest
from awscrt import checksums

from conftest import client_for
from test_boto3_objects import refused

ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
FULL = {"CRC32", "CRC32C", "CRC64NVME"}
COMPOSITE = {"CRC32", "CRC32C", "SHA1", "SHA256"}
MIB = 1 << 20


def raw_sum(algorithm, data):
    return {"CRC32": lambda d: zlib.crc32(d).to_bytes(4, "big"),
            "CRC32C": lambda d: checksums.crc32c(d).to_bytes(4, "big"),
            "CRC64NVME": lambda d: checksums.crc64nvme(d).to_bytes(8, "big"),
            "SHA1": lambda d: hashlib.sha1(d).digest(),
            "SHA256": lambda d: hashlib.sha256(d).digest()}[algorithm](data)


def text_sum(algorithm, data):
    return base64.b64encode(raw_sum(algorithm, data)).decode()


def composite(algorithm, parts):
    whole = raw_sum(algorithm, b"".join(raw_sum(algorithm, p) for p in parts))
    return f"{base64.b64encode(whole).decode()}-{len(parts)}"


@pytest.fixture(scope="module")
def plain(server):
    """A client that adds no checksum unless asked, as SDKs did before the change of defaults."""
    return client_for(server, request_checksum_calculation="when_required", response_checksum_validation="when_required")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 70_000, 3 * MIB + 5])
def test_a_checksum_is_verified_kept_and_told(s3, bucket, algorithm, size):
    body = random.Random(size).randbytes(size)
    field = f"Checksum{algorithm}"
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    assert put[field] == text_sum(algorithm, body)
    assert put["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got[field] == put[field] and got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[field] == put[field] and head["ChecksumType"] == "FULL_OBJECT"
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum"])["Checksum"]
    assert attributes[field] == put[field]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_given_by_value_is_verified(s3, bucket, algorithm):
    field = f"Checksum{algorithm}"
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", **{field: text_sum(algorithm, b"hello")})
    refused(400, "BadDigest", s3.put_object, Bucket=bucket, Key="bad", Body=b"hello",
            **{field: text_sum(algorithm, b"other")})
    refused(404, "404", s3.head_object, Bucket=bucket, Key="bad")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_in_a_trailer_is_verified_kept_and_told(tls_server, algorithm):
    """Over TLS boto3 sends STREAMING-UNSIGNED-PAYLOAD-TRAILER for a stream."""
    client = client_for(tls_server)
    name = f"trailer-{algorithm.lower()}"
    client.create_bucket(Bucket=name)
    body = random.Random(1).randbytes(2 * MIB + 77)
    seen = []
    client.meta.events.register("before-send.s3.PutObject", lambda request, **_: seen.append(dict(request.headers)))
    client.put_object(Bucket=name, Key="k", Body=io.BytesIO(body), ChecksumAlgorithm=algorithm, ContentEncoding="gzip")
    assert any(k.lower() == "x-amz-trailer" for k in seen[0]), "this boto3 no longer sends trailers over TLS"
    got = client.get_object(Bucket=name, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body and got[f"Checksum{algorithm}"] == text_sum(algorithm, body)
    assert got["ContentEncoding"] == "gzip"


def test_the_default_of_current_sdks_is_kept(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    sums = [name for name in put if name.startswith("Checksum") and name != "ChecksumType"]
    assert sums and put[sums[0]] == text_sum(sums[0].removeprefix("Checksum"), b"hello")


def test_no_checksum_is_told_unless_asked(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    client_answer = s3.head_object(Bucket=bucket, Key="k")
    assert "ChecksumSHA256" not in client_answer


def test_an_older_client_without_any_checksum_is_served(plain, bucket):
    put = plain.put_object(Bucket=bucket, Key="k", Body=b"hello")
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert plain.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_content_md5_is_verified(plain, bucket):
    def md5(data):
        return base64.b64encode(hashlib.md5(data).digest()).decode()
    plain.put_object(Bucket=bucket, Key="k", Body=b"hello", ContentMD5=md5(b"hello"))
    refused(400, "BadDigest", plain.put_object, Bucket=bucket, Key="bad", Body=b"hello", ContentMD5=md5(b"other"))
    refused(400, "InvalidDigest", plain.put_object, Bucket=bucket, Key="bad", Body=b"hello", ContentMD5="short")
    refused(404, "404", plain.head_object, Bucket=bucket, Key="bad")


@pytest.mark.parametrize("how", ["CRC32", "CRC64NVME", "SHA256", "MD5", "nothing"])
def test_a_bulk_delete_may_carry_any_checksum_or_none(raw, s3, bucket, how):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    headers = []
    if how == "MD5":
        headers = [("Content-MD5", base64.b64encode(hashlib.md5(body).digest()).decode())]
    elif how != "nothing":
        headers = [(f"x-amz-checksum-{how.lower()}", text_sum(how, body))]
    answer = raw.request("POST", f"/{bucket}", query=[("delete", "")], headers=headers, body=body)
    assert answer.status == 200 and [d.findtext("Key") for d in answer.xml().iter("Deleted")] == ["k"], answer
    refused(404, "404", s3.head_object, Bucket=bucket, Key="k")


def test_a_bulk_delete_with_a_wrong_checksum_deletes_nothing(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    answer = raw.request("POST", f"/{bucket}", query=[("delete", "")], body=body,
                         headers=[("x-amz-checksum-crc32", text_sum("CRC32", b"other"))])
    assert (answer.status, answer.code) == (400, "BadDigest"), answer
    s3.head_object(Bucket=bucket, Key="k")


def upload(s3, bucket, parts, algorithm, kind, **complete):
    made = s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert made["ChecksumAlgorithm"] == algorithm and made["ChecksumType"] == kind
    field, done = f"Checksum{algorithm}", []
    for number, part in enumerate(parts, 1):
        sent = s3.upload_part(Bucket=bucket, Key="m", UploadId=made["UploadId"], PartNumber=number, Body=part,
                              ChecksumAlgorithm=algorithm)
        assert sent[field] == text_sum(algorithm, part)
        done.append({"PartNumber": number, "ETag": sent["ETag"], field: sent[field]})
    listed = s3.list_parts(Bucket=bucket, Key="m", UploadId=made["UploadId"])
    assert [p[field] for p in listed["Parts"]] == [text_sum(algorithm, p) for p in parts]
    assert listed["ChecksumAlgorithm"] == algorithm and listed["ChecksumType"] == kind
    return s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=made["UploadId"],
                                        MultipartUpload={"Parts": done}, **complete)


PARTS = [random.Random(i).randbytes(5 * MIB + i) for i in range(3)]


@pytest.mark.parametrize("algorithm", sorted(FULL))
def test_a_multipart_object_has_the_checksum_of_its_whole(s3, bucket, algorithm):
    field, whole = f"Checksum{algorithm}", text_sum(algorithm, b"".join(PARTS))
    done = upload(s3, bucket, PARTS, algorithm, "FULL_OBJECT", ChecksumType="FULL_OBJECT", **{field: whole})
    assert done[field] == whole and done["ChecksumType"] == "FULL_OBJECT"
    head = s3.head_object(Bucket=bucket, Key="m", ChecksumMode="ENABLED")
    assert head[field] == whole and head["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=bucket, Key="m", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"".join(PARTS)


@pytest.mark.parametrize("algorithm", sorted(COMPOSITE))
def test_a_multipart_object_has_the_checksum_of_its_parts_checksums(s3, bucket, algorithm):
    field, whole = f"Checksum{algorithm}", composite(algorithm, PARTS)
    done = upload(s3, bucket, PARTS, algorithm, "COMPOSITE")
    assert done[field] == whole and done["ChecksumType"] == "COMPOSITE"
    head = s3.head_object(Bucket=bucket, Key="m", ChecksumMode="ENABLED")
    assert head[field] == whole and head["ChecksumType"] == "COMPOSITE"
    attributes = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=["Checksum", "ObjectParts"])
    assert attributes["ObjectParts"]["TotalPartsCount"] == 3
    assert [p[field] for p in attributes["ObjectParts"]["Parts"]] == [text_sum(algorithm, p) for p in PARTS]
    assert [p["Size"] for p in attributes["ObjectParts"]["Parts"]] == [len(p) for p in PARTS]


@pytest.mark.parametrize("algorithm", sorted(FULL))
def test_a_wrong_checksum_of_the_whole_refuses_the_completion(s3, bucket, algorithm):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        upload(s3, bucket, PARTS[:1], algorithm, "FULL_OBJECT", ChecksumType="FULL_OBJECT",
               **{f"Checksum{algorithm}": text_sum(algorithm, b"other")})
    assert caught.value.response["Error"]["Code"] == "BadDigest"
    refused(404, "404", s3.head_object, Bucket=bucket, Key="m")


@pytest.mark.parametrize("algorithm,kind", [("SHA256", "FULL_OBJECT"), ("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")])
def test_a_kind_that_an_algorithm_does_not_have_is_refused(s3, bucket, algorithm, kind):
    refused(400, "InvalidRequest", s3.create_multipart_upload, Bucket=bucket, Key="m", ChecksumAlgorithm=algorithm,
            ChecksumType=kind)


def test_a_wrong_checksum_of_a_part_refuses_the_part(s3, bucket):
    made = s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm="CRC32C")
    refused(400, "BadDigest", s3.upload_part, Bucket=bucket, Key="m", UploadId=made["UploadId"], PartNumber=1,
            Body=b"hello", ChecksumCRC32C=text_sum("CRC32C", b"other"))
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="m", UploadId=made["UploadId"])


def test_a_copy_keeps_or_makes_a_checksum(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"hello", ChecksumAlgorithm="SHA256")
    kept = s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")["CopyObjectResult"]
    assert kept["ChecksumSHA256"] == text_sum("SHA256", b"hello")
    made = s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/a", ChecksumAlgorithm="CRC32C")["CopyObjectResult"]
    assert made["ChecksumCRC32C"] == text_sum("CRC32C", b"hello")


def test_a_range_is_not_told_the_checksum_of_the_whole_as_its_own(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello world", ChecksumAlgorithm="CRC32")
    got = s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-4", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
