"""The S3 protocol of destinations against real peers: another holdfast, moto, rclone."""

import hashlib

import boto3
import botocore.config
import pytest

import harness
from conftest import Peer, program_beside_python
from desttool import pattern

KEY, SECRET = "kurl", "mZ8vE2e-only+secret/0123456789=="
BUCKET = "replica"


def boto(endpoint):
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET,
                        config=botocore.config.Config(s3={"addressing_style": "path"}, signature_version="s3v4",
                                                      request_checksum_calculation="when_required"))


@pytest.fixture(scope="module")
def holdfast_peer():
    server = harness.Server(key_pair=(KEY, SECRET))
    try:
        server.start()
        yield server.endpoint
    finally:
        server.close()


@pytest.fixture(scope="module")
def moto_peer():
    program = program_beside_python("moto_server")
    if program is None:
        pytest.skip("moto is not installed")
    peer = Peer([program, "-H", "127.0.0.1", "-p", "{port}"])
    yield peer.url
    peer.close()


@pytest.fixture(scope="module")
def rclone_peer():
    program = program_beside_python("rclone")
    if program is None:
        pytest.skip("rclone is not installed")
    peer = Peer([program, "serve", "s3", "--addr", "127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "{folder}"])
    yield peer.url
    peer.close()


@pytest.fixture(params=["holdfast", "moto", "rclone"])
def peer(request):
    endpoint = request.getfixturevalue(request.param + "_peer")
    client = boto(endpoint)
    if BUCKET not in [b["Name"] for b in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    return endpoint


@pytest.fixture
def s3(peer, tool, request):
    """A session whose path no other test uses."""
    path = "there/" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    t = tool(provider="s3", endpoint=peer, bucket=BUCKET, path=path, access_key_id=KEY, secret_access_key=SECRET)
    t.client, t.path, t.is_rclone = boto(peer), path, "rclone" in request.node.name
    return t


def whole_bucket(client):
    return [o["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for o in page.get("Contents", [])]


def test_what_was_put_is_there_with_the_same_key_and_bytes(s3):
    s3.ok("put", "kopia/abc", "@100000")
    there = s3.client.get_object(Bucket=BUCKET, Key=f"{s3.path}/kopia/abc")
    assert there["Body"].read() == pattern(100000)


def test_headers_metadata_tags_and_times_come_back(s3):
    s3.ok("put", "a", "@10", "attr:content-type=text/plain", "attr:cache-control=no-store",
          "attr:content-encoding=gzip", "attr:x-amz-meta-kopia=some value", "tag:k=v w", "mtime=1700000000123",
          "version=42", "etag=0123456789abcdef0123456789abcdef-7")
    st = s3.ok("stat", "a")
    assert st["size"] == 10
    assert st["attributes"]["content-type"] == "text/plain"
    assert st["attributes"]["content-encoding"] == "gzip"
    assert st["attributes"]["x-amz-meta-kopia"] == "some value"
    assert not any("holdfast" in name for name in st["attributes"])
    assert st["tags"] == {"k": "v w"}
    assert (st["original_mtime"], st["version"]) == (1700000000123, 42)
    assert st["original_etag"] == "0123456789abcdef0123456789abcdef-7"
    assert st["md5"] == hashlib.md5(pattern(10)).hexdigest()


def test_what_headers_cannot_hold_comes_back_from_the_side_object(s3):
    s3.ok("put", "a", "@10", "attr:x-amz-meta-u=\u00fc\u00e4 ", "attr:x-amz-meta-long=" + "y" * 1990,
          "attr:x-amz-meta-plain=p", "tag:\u00e4=\u00f6")
    st = s3.ok("stat", "a")
    assert st["attributes"]["x-amz-meta-u"] == "\u00fc\u00e4 "
    assert st["attributes"]["x-amz-meta-long"] == "y" * 1990
    assert st["tags"] == {"\u00e4": "\u00f6"}
    head = s3.client.head_object(Bucket=BUCKET, Key=f"{s3.path}/a")
    assert {k.lower(): v for k, v in head["Metadata"].items()}["plain"] == "p"
    assert sum(1 for k in s3.keys() if k.startswith("plugins/holdfast/meta/")) == 1


def test_side_objects_go_with_their_objects(s3):
    s3.ok("put", "a", "@10", "attr:x-amz-meta-u=\u00fc", "version=1")
    s3.ok("put", "a", "@10", "attr:x-amz-meta-u=\u00e4", "version=2")
    assert len(s3.keys("plugins/")) == 1
    assert s3.ok("stat", "a")["attributes"]["x-amz-meta-u"] == "\u00e4"
    s3.ok("put", "a", "@10", "version=3")
    assert s3.keys() == ["a"]
    s3.ok("put", "a", "@10", "attr:x-amz-meta-u=\u00fc", "version=4")
    s3.ok("remove", "a")
    assert s3.keys() == []


def test_parts_become_one_object(s3):
    size = 17 * 1000 * 1000
    answer = s3.ok("multipart", "big", f"@{size}", "attr:x-amz-meta-k=v", "tag:q=r", "version=9")
    assert answer["parts"] == 3
    st = s3.ok("stat", "big")
    assert (st["size"], st["version"], st["tags"]) == (size, 9, {"q": "r"})
    assert st["attributes"]["x-amz-meta-k"] == "v"
    for offset in (0, 8 * 1024 * 1024 - 5, size - 10):
        assert s3.bytes("big", offset, 10) == pattern(10, offset)


def test_parts_stay_hidden_until_they_are_finished(s3):
    begun = s3.ok("begin", "big", "@6000000", "part-bytes=5242880")
    first = s3.ok("part", "big", "@6000000", begun["state"], begun["part_bytes"], 1)
    assert s3("stat", "big")["kind"] == "missing"
    assert s3.keys() == []
    second = s3.ok("part", "big", "@6000000", begun["state"], begun["part_bytes"], 2)
    s3.ok("finish", "big", "@6000000", begun["state"], begun["part_bytes"], f"1={first['etag']},2={second['etag']}")
    assert s3.ok("stat", "big")["size"] == 6000000


def test_finishing_again_after_a_lost_answer_succeeds(s3):
    begun = s3.ok("begin", "big", "@100", "version=5")
    part = s3.ok("part", "big", "@100", begun["state"], begun["part_bytes"], 1, "version=5")
    finish = ("finish", "big", "@100", begun["state"], begun["part_bytes"], f"1={part['etag']}", "version=5")
    s3.ok(*finish)
    s3.ok(*finish)


def test_an_upload_may_be_given_up_twice(s3):
    begun = s3.ok("begin", "big", "@100")
    s3.ok("part", "big", "@100", begun["state"], begun["part_bytes"], 1)
    s3.ok("abort", "big", begun["state"])
    s3.ok("abort", "big", begun["state"])
    assert s3.keys() == []
    uploads = s3.client.list_multipart_uploads(Bucket=BUCKET, Prefix=s3.path).get("Uploads", [])
    assert uploads == []


def test_listing_goes_on_behind_a_key_and_within_a_prefix(s3):
    keys = ["a", "a/1", "a/2", "b +&%25\u00e9<>\"'", "b/x", "c"]
    if s3.is_rclone:  # a file cannot be a folder as well
        keys.remove("a")
    for key in keys:
        s3.ok("put", key, "@3")
    assert s3.keys() == sorted(keys, key=str.encode)
    assert s3.keys("a/") == ["a/1", "a/2"]
    assert s3.keys("", "a/1") == sorted(keys, key=str.encode)[keys.index("a/1") + 1:]
    assert s3.keys("a/", "a/1") == ["a/2"]
    assert s3.keys("", "zzz") == []
    assert s3.keys("", "", 2) == sorted(keys, key=str.encode)[:2]


def test_ranges(s3):
    s3.ok("put", "a", "@1000")
    assert s3.bytes("a", 0, 1000) == pattern(1000)
    assert s3.bytes("a", 990, 10) == pattern(10, 990)
    assert s3("get", "a", 990, 11, "/dev/null")["kind"] == "object"
    assert s3("get", "a", 5000, 1, "/dev/null")["kind"] == "object"
    assert s3("get", "none", 0, 1, "/dev/null")["kind"] == "missing"


def test_an_empty_object(s3):
    s3.ok("put", "empty", "@0")
    assert s3.ok("stat", "empty")["size"] == 0


def test_if_absent(s3):
    s3.ok("put", "owner", "@5", "if-absent=1")
    assert s3("put", "owner", "@6", "if-absent=1")["kind"] == "exists"
    assert s3.ok("stat", "owner")["size"] == 5


def test_removing_what_is_not_there_succeeds(s3):
    s3.ok("remove", "nothing")
    s3.ok("put", "a", "@5")
    s3.ok("remove", "a")
    assert s3("stat", "a")["kind"] == "missing"


def test_a_source_that_breaks_leaves_nothing(s3):
    for size, at in ((100, 50), (3000000, 2000000)):
        answer = s3("put", "a", f"@{size}", f"fail-at={at}", "md5=0")
        assert (answer["kind"], answer["text"]) == ("object", f"the source breaks at {at}")
    assert s3("stat", "a")["kind"] == "missing"


def test_the_probe_passes_and_leaves_nothing(s3):
    before = whole_bucket(s3.client)
    answer = s3.ok("probe")
    rows = {r["step"]: r["result"] for r in answer["rows"]}
    for step in ("resolve", "connect", "authenticate", "bucket", "list", "put", "get range", "overwrite", "multipart", "delete"):
        assert rows[step] == "ok", answer
    assert rows["tls"] == "skipped"
    assert whole_bucket(s3.client) == before
    assert not s3.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_the_probe_names_a_bucket_that_is_missing(peer, tool):
    t = tool(provider="s3", endpoint=peer, bucket="no-such-bucket", access_key_id=KEY, secret_access_key=SECRET)
    answer = t("probe")
    assert not answer["ok"] and answer["kind"] == "person"
    assert answer["rows"][-1]["step"] == "bucket"
    assert "no bucket no-such-bucket" in answer["text"]
