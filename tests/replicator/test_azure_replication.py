"""A whole holdfast whose copies go to Azure: what the replica holds, and what comes back from there."""

import random

import pytest

import harness
from azure_peers import ACCOUNT, KEY, azurite, container, front  # noqa: F401
from chaos_proxy import ChaosProxy
from holdfasts import SCRUB_OFF, cli, client, destination, files, flip, metric, wait_settled

BLOCK = 64 * 1024
pytestmark = pytest.mark.timeout(170)


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def link(azurite):
    """Between the store and Azurite."""
    with ChaosProxy(("127.0.0.1", azurite.port), seed=1) as proxy:
        yield proxy


@pytest.fixture
def s3(near, link, container):
    cli("destination", "add", "far", "--data", near.data, "--provider", "azure", "--endpoint", f"{link.url}/{ACCOUNT}", "--bucket",
        container, "--path", "copies", "--account-key-file", "-", "--brake-percent", "100", stdin=KEY)
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
    harness.wait_until("what can go to be there", lambda: far.keys("") == ["later"], 60)
    harness.wait_until("both to be parked", lambda: destination(near)["parked"] == 2, 60)


def test_what_is_damaged_here_comes_back_from_there(near, s3, far):
    body = random.Random(2).randbytes(20 * BLOCK + 17)
    s3.put_object(Bucket="bucket", Key="k", Body=body)
    wait_settled(near)
    flip(files(near)[0], 7 * BLOCK + 3)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body
    harness.wait_until("the healing", lambda: metric(near, "healed_contents_total") == 1, 20)


def test_a_bad_link_to_azure_converges_by_itself(near, s3, far, link):
    link.resets, link.delay = 0.03, 0.002
    chance = random.Random(7)
    want = {}
    for _ in range(150):
        key = f"k{chance.randrange(40)}"
        if key in want and chance.random() < 0.2:
            s3.delete_object(Bucket="bucket", Key=key)
            del want[key]
        else:
            want[key] = chance.randbytes(chance.choice((0, 10, 5000, 70000)))
            s3.put_object(Bucket="bucket", Key=key, Body=want[key])
    s3.put_object(Bucket="bucket", Key="large", Body=b"x" * (18 << 20))
    want["large"] = b"x" * (18 << 20)
    link.resets = 0.0005  # a block is 512 pieces
    wait_settled(near, seconds=120)
    assert far.keys("") == sorted(want)
    for key, body in want.items():
        assert far.bytes(key, 0, len(body)) == body


def test_a_kill_goes_on_with_the_blocks_that_were_sent(near, s3, far, link):
    """The upload's state is durable: blocks are not sent twice, but for those on their way."""
    body = random.Random(3).randbytes(80 << 20)
    cli("destination", "set", "far", "--data", near.data, "--concurrency", "2")
    link.bytes_per_second = 12 << 20
    s3.put_object(Bucket="bucket", Key="large", Body=body)
    harness.wait_until("half of it to have gone", lambda: link.passed > 48 << 20, 60)
    near.kill()
    near.start()
    link.bytes_per_second = 0
    wait_settled(near, seconds=60)
    assert far.bytes("large", 0, len(body)) == body
    assert link.passed < 130 << 20, "with at most what two transfers hold sent again"
