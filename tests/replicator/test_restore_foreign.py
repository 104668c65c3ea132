"""A restore of what others wrote or changed outside, and after many restores before."""

import base64
import json
import random
import urllib.parse

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, wait_settled
from places import open_place
from test_node_loss import lose, progress, restore

MIB = 1 << 20


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        yield server.start()
    finally:
        server.close()


def refused(s3, key, **how):
    """Whether not all of the bytes came."""
    try:
        s3.get_object(Bucket="bucket", Key=key, **how)["Body"].read()
    except Exception:
        return True
    return False


def test_what_was_changed_outside_after_it_was_adopted_is_not_served_for_what_it_was(near):
    with open_place("holdfast") as place:
        place.add(near)
        s3 = client(near)
        s3.create_bucket(Bucket="bucket")
        large = random.Random(1).randbytes(9 * MIB)
        for i in range(18):  # more than are fetched at once
            s3.put_object(Bucket="bucket", Key=f"a{i:02}", Body=bytes(MIB))
        s3.put_object(Bucket="bucket", Key="small", Body=b"small one")
        s3.put_object(Bucket="bucket", Key="large", Body=large)
        s3.put_object(Bucket="bucket", Key="untouched", Body=b"untouched")
        upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
        done = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=n,
                                                        Body=large[:5 * MIB])["ETag"]} for n in (1, 2)]
        s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
        wait_settled(near)
        lose(near, place)
        place.link.bytes_per_second = MIB // 2  # so that the contents are not here yet
        restore(near, place)
        place.write("bucket/small", b"SMALL ONE")
        place.write("bucket/large", large[:-1] + b"!")
        place.write("bucket/parts", bytes(10 * MIB))
        s3 = client(near)
        place.link.bytes_per_second = 0
        assert refused(s3, "parts", PartNumber=1) and refused(s3, "parts")
        assert refused(s3, "small") and refused(s3, "large")
        assert refused(s3, "large", Range="bytes=100-199")
        assert s3.get_object(Bucket="bucket", Key="untouched")["Body"].read() == b"untouched"
        harness.wait_until("it to be told", lambda: progress(near)["unfilled"] == 3, 30)
        near.sound = False


def test_a_large_blob_without_a_checksum_is_adopted_without_reading_it(near):
    """As tools write them in blocks."""
    with open_place("azurite") as place:
        body = random.Random(2).randbytes(9 * MIB)
        path = "/outside/copy/bucket/by others"
        blocks = [base64.b64encode(b"%06d" % i).decode() for i in range(3)]
        for i, block in enumerate(blocks):
            place.client.ok("PUT", path, {"comp": "block", "blockid": block}, {}, body[i * 3 * MIB:(i + 1) * 3 * MIB])
        listed = "<BlockList>" + "".join(f"<Latest>{b}</Latest>" for b in blocks) + "</BlockList>"
        place.client.ok("PUT", path, {"comp": "blocklist"}, {"x-ms-meta-x": "y"}, listed.encode())
        place.write("bucket/small", b"small")
        place.link.asked.clear()
        restore(near, place)
        s3 = client(near)
        h = s3.head_object(Bucket="bucket", Key="by others")
        assert h["ContentLength"] == len(body) and h["Metadata"] == {"x": "y"} and h["ETag"].endswith('-1"')
        assert s3.get_object(Bucket="bucket", Key="by others", PartNumber=1)["Body"].read() == body
        harness.wait_until("the fill", lambda: progress(near)["done"], 30)
        assert s3.get_object(Bucket="bucket", Key="by others")["Body"].read() == body
        assert h["ETag"] == s3.head_object(Bucket="bucket", Key="by others")["ETag"]
        assert [urllib.parse.unquote(k) for k in place.removed_keys()] == []


def test_the_hundredth_restore_gives_versions_that_no_store_before_gave(near):
    with open_place("holdfast") as place:
        place.add(near)
        s3 = client(near)
        s3.create_bucket(Bucket="bucket")
        for i in range(20):
            s3.put_object(Bucket="bucket", Key=f"k{i}", Body=b"k")
        wait_settled(near)
        owner = json.loads(place.read("plugins/holdfast/owner.json"))
        cli("destination", "pause", "far", "--data", near.data)
        place.write("plugins/holdfast/owner.json", json.dumps({**owner, "epoch": 99}).encode())
        lose(near, place)
        restore(near, place, "--wait")
        s3 = client(near)
        s3.put_object(Bucket="bucket", Key="new", Body=b"new")
        wait_settled(near)
        version = place.s3.head_object(Bucket="outside", Key="copy/bucket/new")["Metadata"]["holdfast-version"]
        assert int(version) >> 32 == 100
        assert json.loads(place.read("plugins/holdfast/owner.json"))["epoch"] == 100
    # What is stopped is checked by the fixture: the checker takes those numbers for good.
