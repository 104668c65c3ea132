"""What is outside alone: verified before it is served, archived, or not there at all."""

import json
import random

import botocore.exceptions
import harness
import pytest
from azure_peers import ACCOUNT, KEY, azurite, container  # noqa: F401
from holdfasts import SCRUB_OFF, cli, client, metric, wait_settled
from s3_chaos import S3Chaos

MIB = 1 << 20
# So low that nothing is fetched to stay.
KEEPS_NOTHING = ["--tier-high-water", "1MiB"]


def body(n, size):
    return random.Random(n).randbytes(size)


@pytest.fixture
def fake():
    with S3Chaos() as server:
        yield server


@pytest.fixture
def stores():
    made = []

    def make(*args):
        made.append(harness.Server(args=[*SCRUB_OFF, *args]))
        return made[-1].start()

    yield make
    for server in made:
        server.close()


def add(near, fake):
    cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", fake.url, "--region", "us-east-1",
        "--bucket", "bucket", "--path", "p", "--access-key-id", fake.ACCESS_KEY, "--secret-access-key-file", "-",
        stdin=fake.SECRET_KEY)


@pytest.fixture
def restored(fake, stores):
    """A store that came back from the fake and keeps nothing of it here: it, and a client."""
    first = stores()
    add(first, fake)
    s3 = client(first)
    s3.create_bucket(Bucket="objects")
    s3.put_object(Bucket="objects", Key="small", Body=body(1, 100_000))
    s3.put_object(Bucket="objects", Key="large", Body=body(2, 11 * MIB))
    s3.put_object(Bucket="objects", Key="other", Body=body(3, 9 * MIB))
    upload = s3.create_multipart_upload(Bucket="objects", Key="parts")["UploadId"]
    done = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="objects", Key="parts", UploadId=upload, PartNumber=n, Body=part)["ETag"]}
            for n, part in ((1, body(4, 6 * MIB)), (2, body(5, 5 * MIB + 3)))]
    s3.complete_multipart_upload(Bucket="objects", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
    wait_settled(first)
    first.stop()
    near = stores(*KEEPS_NOTHING)
    add(near, fake)
    cli("restore", "--data", near.data, "--from", "far", "--json", "--take-over")
    s3 = client(near)
    harness.wait_until("the listing", lambda: len(listed(s3)) == 4, 30)
    return near, s3


def listed(s3):
    try:
        return s3.list_objects_v2(Bucket="objects").get("Contents", [])
    except botocore.exceptions.ClientError:
        return []


def get(s3, key, **how):
    return s3.get_object(Bucket="objects", Key=key, **how)["Body"].read()


def stored(fake, key):
    return fake.objects[b"p/objects/" + key.encode()]


def refusal(s3, key, **how):
    """(status, code, sentence) of a read that is refused, or (0, "", "") of one whose bytes are cut off."""
    try:
        get(s3, key, **how)
    except botocore.exceptions.ClientError as e:
        return e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"], e.response["Error"]["Message"]
    except (botocore.exceptions.ResponseStreamingError, botocore.exceptions.IncompleteReadError,
            botocore.exceptions.HTTPClientError):
        return 0, "", ""
    raise AssertionError(f"{key} was read")


@pytest.mark.parametrize("key,right", [("large", body(2, 11 * MIB)), ("parts", body(4, 6 * MIB) + body(5, 5 * MIB + 3))],
                         ids=["by its MD5", "by the CRC32C that travelled along"])
def test_what_came_back_is_verified_before_its_end_is_served(fake, restored, key, right):
    near, s3 = restored
    wrong = bytearray(right)
    wrong[7 * MIB] ^= 1
    assert get(s3, key) == right
    stored(fake, key)["body"] = bytes(wrong)
    assert refusal(s3, key) == (0, "", "")
    # A copy needs all of it here, and takes nothing wrong in.
    with pytest.raises(botocore.exceptions.ClientError) as e:
        s3.copy_object(Bucket="objects", Key="copy", CopySource=f"objects/{key}")
    assert e.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    # Not even a part that would be right: nothing tells so yet.
    assert refusal(s3, key, Range="bytes=5-9")[0] == 500
    wrong[7 * MIB] ^= 1
    stored(fake, key)["body"] = bytes(wrong)
    assert get(s3, key, Range="bytes=5-9") == right[5:10]
    # From now on each block has its checksum here.
    wrong[7 * MIB] ^= 1
    stored(fake, key)["body"] = bytes(wrong)
    assert get(s3, key, Range="bytes=5-9") == right[5:10]
    assert refusal(s3, key, Range=f"bytes={7 * MIB}-{7 * MIB + 1}")[0] == 500
    wrong[7 * MIB] ^= 1
    stored(fake, key)["body"] = bytes(wrong)
    harness.wait_until("its bytes to be here", lambda: copied(s3, key), 30)
    assert get(s3, "copy") == right
    stored(fake, "small")["body"] = b"!" + stored(fake, "small")["body"][1:]
    assert refusal(s3, "small")[0] == 500
    assert metric(near, "damaged_outside_total") >= 4
    assert get(s3, "other") == body(3, 9 * MIB)


def copied(s3, key):
    """A copy that meets a fetch of the same bytes is told to come again."""
    try:
        s3.copy_object(Bucket="objects", Key="copy", CopySource=f"objects/{key}")
    except botocore.exceptions.ClientError as e:
        if e.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
            raise
        return False
    return True


def reads_of(fake, key):
    return sum(r.method == "GET" and r.path.endswith("/objects/" + key) for r in fake.requests)


@pytest.mark.parametrize("key", ["small", "large"])
def test_an_archive_class_is_told_and_not_asked_again_and_again(fake, restored, key):
    near, s3 = restored
    stored(fake, key)["class"] = "DEEP_ARCHIVE"
    status, code, sentence = refusal(s3, key)
    assert (status, code) == (403, "InvalidObjectState")
    assert "DEEP_ARCHIVE" in sentence and "restore" in sentence
    asked = len(fake.requests)
    for _ in range(5):
        assert refusal(s3, key)[1] == "InvalidObjectState"
    assert reads_of(fake, key) <= 2 and len(fake.requests) - asked <= 2
    assert s3.head_object(Bucket="objects", Key=key)["ContentLength"] > 0
    assert get(s3, "other") == body(3, 9 * MIB)
    s3.put_object(Bucket="objects", Key="new", Body=b"new")
    wait_settled(near)
    stored(fake, key)["class"] = "STANDARD"
    size = {"small": 100_000, "large": 11 * MIB}[key]

    def is_back():
        try:
            return len(get(s3, key)) == size
        except botocore.exceptions.ClientError as e:
            assert e.response["Error"]["Code"] == "InvalidObjectState"

    harness.wait_until("the object to be readable", is_back, 20)


def test_a_key_that_does_not_exist_is_never_asked_for(fake, restored):
    near, s3 = restored
    harness.wait_until("all to be known", lambda: json.loads(
        cli("status", "--data", near.data, "--json"))["destinations"][0]["state"] != "recovering", 30)
    for call in (s3.get_object, s3.head_object, s3.get_object_tagging, s3.delete_object):
        try:
            call(Bucket="objects", Key="missing")
        except botocore.exceptions.ClientError as e:
            assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    for call in (s3.copy_object, s3.upload_part_copy):
        upload = {} if call == s3.copy_object else {
            "PartNumber": 1, "UploadId": s3.create_multipart_upload(Bucket="objects", Key="x")["UploadId"]}
        with pytest.raises(botocore.exceptions.ClientError):
            call(Bucket="objects", Key="x", CopySource="objects/missing", **upload)
    s3.list_objects_v2(Bucket="objects", Prefix="missing")
    s3.delete_objects(Bucket="objects", Delete={"Objects": [{"Key": "missing"}]})
    s3.put_object(Bucket="objects", Key="last", Body=b"1")
    wait_settled(near)
    assert not [r.target for r in fake.requests if "missing" in r.target]


def test_azures_archive_tier_is_told(azurite, container, stores):
    def add_azure(near):
        cli("destination", "add", "far", "--data", near.data, "--provider", "azure", "--endpoint",
            f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", "--bucket", container, "--path", "copies", "--account-key-file", "-",
            stdin=KEY)

    first = stores()
    add_azure(first)
    s3 = client(first)
    s3.create_bucket(Bucket="objects")
    s3.put_object(Bucket="objects", Key="cold", Body=body(1, 100_000))
    s3.put_object(Bucket="objects", Key="hot", Body=body(2, 100_000))
    wait_settled(first)
    first.stop()
    azurite.ok("PUT", f"/{container}/copies/objects/cold", {"comp": "tier"}, {"x-ms-access-tier": "Archive"})
    near = stores(*KEEPS_NOTHING)
    add_azure(near)
    cli("restore", "--data", near.data, "--from", "far", "--json", "--take-over")
    s3 = client(near)
    harness.wait_until("the listing", lambda: len(listed(s3)) == 2, 30)
    status, code, sentence = refusal(s3, "cold")
    assert (status, code) == (403, "InvalidObjectState") and "Archive" in sentence
    assert get(s3, "hot") == body(2, 100_000)
