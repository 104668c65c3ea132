"""A whole holdfast whose copies go to Azure: what the replica holds, and what comes back from there."""

import random

import pytest

import harness
from azure_peers import ACCOUNT, KEY, azurite, container, front  # noqa: F401
from holdfasts import SCRUB_OFF, cli, client, destination, files, flip, metric, wait_settled

BLOCK = 64 * 1024


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def s3(near, azurite, container):
    cli("destination", "add", "far", "--data", near.data, "--provider", "azure", "--endpoint",
        f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", "--bucket", container, "--path", "copies", "--account-key-file", "-", stdin=KEY)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    return s3


@pytest.fixture
def far(azurite, container, tool):
    return tool(provider="azure", endpoint=f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", bucket=container, path="copies/bucket",
                account_key=KEY)


def test_every_kind_of_change_arrives(near, s3, far):
    rnd = random.Random(1)
    bodies = {"small": rnd.randbytes(1000), "empty": b"", "ä/ü &+%": rnd.randbytes(70000), "big": rnd.randbytes(21 << 20)}
    etags = {}
    for key, body in bodies.items():
        etags[key] = s3.put_object(Bucket="bucket", Key=key, Body=body, ContentType="text/x", Metadata={"a-b": "c d", "e": "%"},
                                   Tagging="k=v&l=w%20x")["ETag"].strip('"')
    s3.put_object(Bucket="bucket", Key="goes", Body=b"1")
    s3.put_object(Bucket="bucket", Key="small", Body=b"overwritten")
    s3.delete_object(Bucket="bucket", Key="goes")
    s3.put_object_tagging(Bucket="bucket", Key="empty", Tagging={"TagSet": [{"Key": "new", "Value": "tag"}]})
    bodies["small"] = b"overwritten"
    wait_settled(near)
    assert far.keys("") == sorted(bodies, key=lambda k: k.encode())
    for key, body in bodies.items():
        assert far.bytes(key, 0, len(body)) == body
    stat = far.ok("stat", "big")
    assert stat["original_etag"] == etags["big"] and stat["tags"] == {"k": "v", "l": "w x"}
    assert stat["attributes"] == {"content-type": "text/x", "x-amz-meta-a-b": "c d", "x-amz-meta-e": "%"}
    assert far.ok("stat", "empty")["tags"] == {"new": "tag"}


def test_a_key_that_azure_cannot_hold_is_parked_and_blocks_nothing(near, s3, far):
    s3.put_object(Bucket="bucket", Key="ends with a dot.", Body=b"1")
    s3.put_object(Bucket="bucket", Key="folder/", Body=b"")
    s3.put_object(Bucket="bucket", Key="later", Body=b"2")
    harness.wait_until("what can go to be there", lambda: far.keys("") == ["later"], 20)
    harness.wait_until("both to be parked", lambda: destination(near)["parked"] == 2, 20)


def test_what_is_damaged_here_comes_back_from_there(near, s3, far):
    body = random.Random(2).randbytes(20 * BLOCK + 17)
    s3.put_object(Bucket="bucket", Key="k", Body=body)
    wait_settled(near)
    flip(files(near)[0], 7 * BLOCK + 3)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body
    harness.wait_until("the healing", lambda: metric(near, "healed_contents_total") == 1, 20)
