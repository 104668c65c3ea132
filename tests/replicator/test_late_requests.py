"""A request that was given up and arrives all the same, long after: it never stays over a newer one."""

import pytest

import harness
from azure_peers import ACCOUNT, KEY, azurite, container  # noqa: F401
from google_peers import account_file, bucket, fake_gcs, front, tokens  # noqa: F401
from holdfasts import SCRUB_OFF, cli, client, wait_settled
from late_proxy import LateProxy

pytestmark = pytest.mark.timeout(120)


class Copy:
    """A store, and where its copy goes by way of a proxy that can hold requests."""

    def __init__(self, late, bytes_of):
        self.late, self.bytes_of, self.put_method = late, bytes_of, "PUT"
        self.near = harness.Server(args=SCRUB_OFF).start()
        self.s3 = client(self.near)
        self.s3.create_bucket(Bucket="store")

    def put(self, key, body):
        self.s3.put_object(Bucket="store", Key=key, Body=body)

    def close(self):
        try:
            self.near.close()
        finally:
            self.late.close()


@pytest.fixture(params=["s3", "google", "azure"])
def copy(request):
    opened = []
    if request.param == "s3":
        far = harness.Server(args=SCRUB_OFF).start()
        opened.append(far)
        late = LateProxy(far.address)
        far_s3 = client(far)

        def bytes_of(key):
            try:
                return far_s3.get_object(Bucket="outside", Key=f"copies/store/{key}")["Body"].read()
            except far_s3.exceptions.NoSuchKey:
                return None

        c = Copy(late, bytes_of)
        far_s3.create_bucket(Bucket="outside")
        cli("destination", "add", "far", "--data", c.near.data, "--provider", "s3", "--endpoint", late.url, "--region",
            "us-east-1", "--bucket", "outside", "--path", "copies", "--access-key-id", far.access_key,
            "--secret-access-key-file", "-", "--brake-percent", "100", stdin=far.secret_key)
    elif request.param == "google":
        gcs, name = request.getfixturevalue("fake_gcs"), request.getfixturevalue("bucket")
        front_, tokens_ = request.getfixturevalue("front"), request.getfixturevalue("tokens")
        late = LateProxy(("127.0.0.1", front_.port))
        c = Copy(late, lambda key: gcs.bytes(name, f"copies/store/{key}") if gcs.object(name, f"copies/store/{key}") else None)
        cli("destination", "add", "far", "--data", c.near.data, "--provider", "google", "--endpoint", late.url, "--bucket", name,
            "--path", "copies", "--service-account-json", request.getfixturevalue("account_file"), "--token-endpoint",
            tokens_.url + "/token", "--brake-percent", "100")
        c.put_method = "POST"
    else:
        blobs, name = request.getfixturevalue("azurite"), request.getfixturevalue("container")
        late = LateProxy(("127.0.0.1", blobs.port))

        def bytes_of(key):
            status, _, body = blobs.call("GET", f"/{name}/copies/store/{key}")
            return body if status == 200 else None

        c = Copy(late, bytes_of)
        cli("destination", "add", "far", "--data", c.near.data, "--provider", "azure", "--endpoint", f"{late.url}/{ACCOUNT}",
            "--bucket", name, "--path", "copies", "--account-key-file", "-", "--brake-percent", "100", stdin=KEY)
    try:
        yield c
    finally:
        c.close()
        for peer in opened:
            peer.close()


def test_a_late_arrival_of_what_was_given_up_never_stays(copy):
    """An old put behind a newer one, one behind a delete, and an old delete behind a put."""
    copy.put("removed", b"first")
    copy.put("deleted", b"first")
    wait_settled(copy.near)
    copy.late.hold(copy.put_method, "overwritten")
    copy.late.hold(copy.put_method, "removed")
    copy.late.hold("DELETE", "deleted")
    copy.put("overwritten", b"old")
    copy.put("removed", b"old")
    copy.s3.delete_object(Bucket="store", Key="deleted")
    harness.wait_until("the requests to be held", lambda: len(copy.late.held) == 3, 20)
    copy.put("overwritten", b"the newer one")
    copy.s3.delete_object(Bucket="store", Key="removed")
    copy.put("deleted", b"is back")
    wait_settled(copy.near, seconds=60)
    assert copy.bytes_of("overwritten") == b"the newer one" and copy.bytes_of("removed") is None
    assert copy.bytes_of("deleted") == b"is back"

    statuses = copy.late.release()
    want = {"overwritten": b"the newer one", "removed": None, "deleted": b"is back"}
    harness.wait_until("what is outside to be the newest", lambda: {k: copy.bytes_of(k) for k in want} == want, 30)
    wait_settled(copy.near)
    assert {k: copy.bytes_of(k) for k in want} == want, statuses
