"""Access keys: rights per bucket and prefix, live without a restart, and nothing more than was given."""

import botocore.exceptions
import pytest

from conftest import client_for
from test_boto3_objects import refused


@pytest.fixture(scope="module")
def filled(server, s3):
    if not hasattr(server, "add_key"):
        pytest.skip("needs the holdfast command line")
    for name in ("mine", "theirs"):
        s3.create_bucket(Bucket=name)
        for key in ("a/1", "a/2", "b/1"):
            s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return server


def limited(server, name, *options):
    access, secret = server.add_key(name, *options)
    return client_for(server, access_key=access, secret_key=secret), access


def test_a_key_that_may_only_read(filled):
    client, _ = limited(filled, "reader", "--rights", "read", "--bucket", "mine")
    assert client.get_object(Bucket="mine", Key="a/1")["Body"].read() == b"a/1"
    refused(403, "AccessDenied", client.get_object, Bucket="theirs", Key="a/1")
    refused(403, "AccessDenied", client.put_object, Bucket="mine", Key="new", Body=b"x")
    refused(403, "AccessDenied", client.delete_object, Bucket="mine", Key="a/1")
    refused(403, "AccessDenied", client.list_objects_v2, Bucket="mine")
    refused(403, "AccessDenied", client.create_bucket, Bucket="another")
    refused(403, "AccessDenied", client.copy_object, Bucket="mine", Key="copy", CopySource="mine/a/1")


def test_a_key_that_may_only_write(filled, s3):
    client, _ = limited(filled, "writer", "--rights", "write", "--bucket", "mine")
    client.put_object(Bucket="mine", Key="w/1", Body=b"x")
    refused(403, "AccessDenied", client.get_object, Bucket="mine", Key="a/1")
    refused(403, "AccessDenied", client.delete_object, Bucket="mine", Key="w/1")
    with pytest.raises(botocore.exceptions.ClientError):
        client.copy_object(Bucket="mine", Key="w/2", CopySource="theirs/a/1")
    refused(403, "AccessDenied", client.delete_objects, Bucket="theirs", Delete={"Objects": [{"Key": "a/1"}]})
    assert s3.get_object(Bucket="theirs", Key="a/1")["Body"].read() == b"a/1"
    s3.delete_object(Bucket="mine", Key="w/1")


def test_a_key_for_a_prefix(filled):
    client, _ = limited(filled, "prefixed", "--rights", "read,write,list,delete", "--bucket", "mine", "--prefix", "a/")
    assert client.get_object(Bucket="mine", Key="a/1")["Body"].read() == b"a/1"
    refused(403, "AccessDenied", client.get_object, Bucket="mine", Key="b/1")
    refused(403, "AccessDenied", client.put_object, Bucket="mine", Key="b/2", Body=b"x")
    refused(403, "AccessDenied", client.list_objects_v2, Bucket="mine")
    refused(403, "AccessDenied", client.list_objects_v2, Bucket="mine", Prefix="b/")
    page = client.list_objects_v2(Bucket="mine", Prefix="a/")
    assert [o["Key"] for o in page["Contents"]] == ["a/1", "a/2"]
    client.put_object(Bucket="mine", Key="a/3", Body=b"x")
    refused(403, "AccessDenied", client.copy_object, Bucket="mine", Key="a/4", CopySource="mine/b/1")
    answer = client.delete_objects(Bucket="mine", Delete={"Objects": [{"Key": "a/3"}, {"Key": "b/1"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["a/3"]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("b/1", "AccessDenied")]


def test_a_key_works_at_once_and_ends_at_once(filled):
    client, access = limited(filled, "brief", "--rights", "read,list")
    assert client.list_objects_v2(Bucket="mine")["KeyCount"] == 3
    filled.remove_key(access)
    refused(403, "InvalidAccessKeyId", client.list_objects_v2, Bucket="mine")


def test_a_listing_of_buckets_shows_only_ones_own(filled):
    client, _ = limited(filled, "lister", "--rights", "read,list", "--bucket", "mine")
    assert [b["Name"] for b in client.list_buckets()["Buckets"]] == ["mine"]


def test_secrets_are_in_no_log_and_no_metric(filled):
    access, secret = filled.add_key("quiet", "--rights", "read")
    client = client_for(filled, access_key=access, secret_key=secret)
    client.get_object(Bucket="mine", Key="a/1")
    client.generate_presigned_url("get_object", {"Bucket": "mine", "Key": "a/1"})
    for text in (filled.log(), filled.metrics()):
        assert secret not in text and filled.secret_key not in text and "Signature=" not in text
