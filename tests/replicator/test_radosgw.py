"""Ceph's own gateway as the destination, where it is installed."""

import boto3
import pytest
from botocore.config import Config

import harness
from desttool import pattern
from holdfasts import SCRUB_OFF, cli, client, keys, wait_settled
from radosgw_peer import Radosgw, is_installed

pytestmark = [pytest.mark.timeout(240),
              pytest.mark.skipif(not is_installed(), reason="radosgw, ceph-mon, ceph-osd and ceph-common are not installed")]


@pytest.fixture(scope="module")
def gateway():
    peer = Radosgw()
    peer.s3 = boto3.client("s3", endpoint_url=peer.url, region_name="us-east-1", aws_access_key_id=peer.access_key,
                           aws_secret_access_key=peer.secret_key, config=Config(s3={"addressing_style": "path"}))
    peer.s3.create_bucket(Bucket=peer.bucket)
    try:
        yield peer
    finally:
        peer.close()


def test_each_operation_works_at_ceph(gateway, tool):
    t = tool(provider="s3", endpoint=gateway.url, region="us-east-1", bucket=gateway.bucket, path="tool",
             access_key_id=gateway.access_key, secret_access_key=gateway.secret_key)
    answer = t.ok("probe")
    assert {r["step"]: r["result"] for r in answer["rows"]}["multipart"] == "ok"
    t.ok("put", "a b+%\u00e9", "@100", "attr:x-amz-meta-a=b c", "tag:k=v")
    t.ok("multipart", "parts", "@11000000", "part-bytes=5242880")
    assert t.keys() == ["a b+%\u00e9", "parts"]
    st = t.ok("stat", "a b+%\u00e9")
    assert (st["tags"], st["attributes"]["x-amz-meta-a"]) == ({"k": "v"}, "b c")
    t.ok("retag", "a b+%\u00e9", "@100", "tag:k=w")
    assert t.ok("stat", "a b+%\u00e9")["tags"] == {"k": "w"}
    assert t.bytes("parts", 9999990, 100) == pattern(100, 9999990)
    t.ok("put", "once", "@5", "if-absent=1")
    assert t("put", "once", "@5", "if-absent=1")["kind"] == "exists"
    for key in ("a b+%\u00e9", "parts", "once"):
        t.ok("remove", key)
    assert t.keys() == []


def test_a_store_is_copied_to_ceph(gateway):
    near = harness.Server(args=SCRUB_OFF).start()
    try:
        s3 = client(near)
        s3.create_bucket(Bucket="bucket")
        cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", gateway.url, "--region", "us-east-1",
            "--bucket", gateway.bucket, "--path", "copies", "--access-key-id", gateway.access_key, "--secret-access-key-file", "-",
            "--brake-percent", "100", stdin=gateway.secret_key)
        bodies = {f"k{i:02}": bytes([i]) * (i * 1000) for i in range(40)} | {"large": b"x" * (20 << 20)}
        for key, body in bodies.items():
            s3.put_object(Bucket="bucket", Key=key, Body=body, Metadata={"n": key}, Tagging="t=1")
        s3.put_object(Bucket="bucket", Key="k01", Body=b"anew")
        s3.delete_object(Bucket="bucket", Key="k02")
        bodies["k01"] = b"anew"
        del bodies["k02"]
        wait_settled(near)
        there = {k.removeprefix("copies/bucket/"): k for k in keys(gateway.s3, gateway.bucket, "copies/bucket/")}
        assert sorted(there) == sorted(bodies)
        for key, body in bodies.items():
            assert gateway.s3.get_object(Bucket=gateway.bucket, Key=there[key])["Body"].read() == body
    finally:
        near.close()
