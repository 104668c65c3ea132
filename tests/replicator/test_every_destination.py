"""What holds at every provider alike: nothing is touched outside the path, and what an object is comes back."""

import datetime
import json
import shutil
import urllib.parse

import pytest

import harness
from azure_peers import ACCOUNT, KEY, azurite, container, front as azure_front  # noqa: F401
from google_peers import account_file, bucket, fake_gcs, front as google_front, tokens  # noqa: F401
from holdfasts import SCRUB_OFF, cli, client, destination, keys, wait_settled
from s3_chaos import S3Chaos

pytestmark = pytest.mark.timeout(170)
PATH = "sites/one/"
OWN = PATH + "plugins/holdfast/"
EXPIRES = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)


def unquote(text):
    return urllib.parse.unquote(text, errors="surrogateescape")


def query_of(request):
    return dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))


class S3Place:
    """A provider with a record of what was asked. .fields are a destination's, .touched(request) the keys and the
    prefixes that a request is about; None for one about the bucket alone."""

    def __init__(self):
        self.fake = S3Chaos()
        self.fields = {"provider": "s3", "endpoint": self.fake.url, "region": "us-east-1", "bucket": self.fake.bucket,
                       "access_key_id": self.fake.ACCESS_KEY, "secret_access_key": self.fake.SECRET_KEY}
        self.fake.documents["lifecycle"] = "<LifecycleConfiguration/>"

    def touched(self, request):
        query = query_of(request)
        _, _, key = request.path[1:].partition("/")
        if key:
            return [unquote(key)]
        if "prefix" in query:
            return [query["prefix"]]
        assert request.method == "HEAD" or set(query) & {"lifecycle", "versioning", "object-lock"}, request.target
        return None

    def keys(self):
        return [k.decode() for k in self.fake.objects]

    def plant(self, key):
        self.fake.objects[key.encode()] = {"body": b"x", "etag": "0", "headers": {}, "tags": [], "class": "STANDARD",
                                           "modified": self.fake.now()}


class GooglePlace:
    def __init__(self, front, tokens, bucket, account_file, behind):
        self.fake, self.bucket, self.behind = front, bucket, behind
        self.fields = {"provider": "google", "endpoint": front.url, "bucket": bucket, "service_account_json": account_file,
                       "token_endpoint": tokens.url + "/token"}

    def touched(self, request):
        query = query_of(request)
        path = request.path
        if path == "/" or path == f"/storage/v1/b/{self.bucket}" or "upload_id" in query:
            return None
        if path.startswith("/upload/"):
            body = request.body.partition(b"\r\n\r\n")[2] if query["uploadType"] == "multipart" else request.body
            return [json.JSONDecoder().raw_decode(body.decode("utf-8", "replace"))[0]["name"]]
        if path.endswith("/o"):
            return [query["prefix"]]
        return [unquote(part.split("/")[0]) for part in path.split("/o/")[1:]]

    def keys(self):
        return self.behind.names(self.bucket)

    def plant(self, key):
        self.behind.put(self.bucket, key, b"x")


class AzurePlace:
    def __init__(self, front, azurite, container):
        self.fake, self.azurite, self.container = front, azurite, container
        self.fields = {"provider": "azure", "endpoint": front.blob_url(), "bucket": container, "account_key": KEY}

    def touched(self, request):
        query = query_of(request)
        _, _, key = request.path[1:].partition(f"{self.container}/")
        if key:
            return [unquote(key)]
        if query.get("comp") == "list":
            return [query["prefix"]]
        assert request.method == "HEAD", request.target
        return None

    def keys(self):
        _, body = self.azurite.ok("GET", f"/{self.container}", {"restype": "container", "comp": "list"})
        return [unquote(n.split("</Name>")[0]) for n in body.decode().split("<Name>")[1:]]

    def plant(self, key):
        self.azurite.ok("PUT", f"/{self.container}/{key}", None, {"x-ms-blob-type": "BlockBlob"}, b"x")


@pytest.fixture(params=["s3", "google", "azure"])
def place(request):
    if request.param == "s3":
        place = S3Place()
        yield place
        place.fake.close()
        return
    get = request.getfixturevalue
    if request.param == "google":
        yield GooglePlace(get("google_front"), get("tokens"), get("bucket"), get("account_file"), get("fake_gcs"))
    else:
        yield AzurePlace(get("azure_front"), get("azurite"), get("container"))


def nothing_outside(place, allowed):
    """Every key that any request named is below the path, and what is written there is the user's or our own."""
    seen = 0
    for request in place.fake.requests:
        for key in place.touched(request) or ():
            assert key.startswith(PATH), (request.method, request.target, request.body[:300])
            if request.method not in ("GET", "HEAD"):
                assert key.startswith(tuple(allowed)), (request.method, request.target)
            seen += 1
    assert seen > 20


# A store's whole life

def options(place):
    words = []
    for name, value in place.fields.items():
        if name not in ("secret_access_key", "account_key"):
            words += ["--" + name.replace("_", "-"), str(value)]
    return words


def add(server, place):
    secret = place.fields.get("secret_access_key") or place.fields.get("account_key")
    words = ["--secret-access-key-file" if "secret_access_key" in place.fields else "--account-key-file", "-"] if secret else []
    cli("destination", "add", "far", "--data", server.data, "--path", PATH, "--brake-percent", "100", *options(place), *words,
        stdin=secret or "")


def facts(s3, key):
    h = s3.head_object(Bucket="velero", Key=key)
    tags = s3.get_object_tagging(Bucket="velero", Key=key)["TagSet"]
    return h["ETag"], h["ContentLength"], h["Metadata"], h["ContentType"], h["LastModified"], h.get("ExpiresString"), tags


def test_nothing_is_touched_outside_the_path_and_all_comes_back_in_a_whole_life(place):
    strangers = ["sites/one.txt", "sites/onefold/x", "sites/two/y", "plugins/holdfast/owner.json", "backups/z"]
    for key in strangers:
        place.plant(key)
    near = harness.Server(args=SCRUB_OFF).start()
    fresh = None
    try:
        add(near, place)
        s3 = client(near)
        s3.create_bucket(Bucket="velero")
        for i in range(6):
            s3.put_object(Bucket="velero", Key=f"restic/data/{i}", Body=b"x" * i, Metadata={"n": str(i)}, Tagging="a=b")
        s3.put_object(Bucket="velero", Key="kopia/ns/p0", Body=b"blob", Expires=EXPIRES, Metadata={f"long{i}": "v" * 180 for i in range(10)})
        s3.put_object(Bucket="velero", Key="big", Body=b"b" * (9 << 20), ContentType="text/x")
        s3.put_object(Bucket="velero", Key="backups/b/velero-backup.json", Body=json.dumps({"status": {"phase": "Completed"}}))
        s3.put_object(Bucket="velero", Key="backups/b/b.tar.gz", Body=b"t" * 1000)
        s3.put_object(Bucket="velero", Key="restic/data/1", Body=b"other")
        s3.put_object_tagging(Bucket="velero", Key="restic/data/2", Tagging={"TagSet": [{"Key": "new", "Value": "tag"}]})
        s3.delete_object(Bucket="velero", Key="restic/data/3")
        wait_settled(near)
        harness.wait_until("the backup", lambda: destination(near)["held"] == 0, 60)
        wait_settled(near)
        if place.fields["provider"] == "google":  # which has no such field
            assert [k for k in place.keys() if k.startswith(OWN + "meta/")]
        cli("destination", "test", "far", "--data", near.data)
        cli("audit", "far", "--data", near.data, "--read-data")
        s3.delete_object(Bucket="velero", Key="restic/data/4")
        wait_settled(near)
        before = {key: facts(s3, key) for key in keys(s3, "velero")}
        near.kill()
        near.sound = False
        shutil.rmtree(near.data)
        fresh = harness.Server(args=SCRUB_OFF).start()
        add(fresh, place)
        assert json.loads(cli("restore", "--data", fresh.data, "--from", "far", "--take-over", "--json"))["failed"] == 0
        s3 = client(fresh)
        assert s3.get_object(Bucket="velero", Key="big")["Body"].read() == b"b" * (9 << 20)
        assert {key: facts(s3, key) for key in keys(s3, "velero")} == before
        s3.delete_object(Bucket="velero", Key="restic/data/5")
        s3.put_object(Bucket="velero", Key="after", Body=b"1")
        wait_settled(fresh)
    finally:
        for server in (near, fresh):
            if server is not None:
                server.close()
    nothing_outside(place, [PATH + "velero/", OWN])
    there = set(place.keys())
    assert there & set(strangers) == set(strangers)
    own = {k for k in there if k.startswith(PATH) and not k.startswith(PATH + "velero/")} - {OWN + "owner.json"}
    assert len(own) <= 1 and all(k.startswith(OWN + "meta/") for k in own)  # of kopia/ns/p0


# What an object is

LONG = {f"attr:x-amz-meta-{i}": "v" * 1500 for i in range(8)}


def words(pairs):
    return [f"{k}={v}" for k, v in pairs.items()]


def open_place(place, tool):
    return tool(**{**place.fields, "path": PATH})


def test_more_metadata_than_fits_comes_back(place, tool):
    t = open_place(place, tool)
    t.ok("put", "k", "@5", "attr:content-type=text/x", "tag:a=b", *words(LONG), "mtime=1700000000123", "version=41")
    stat = t.ok("stat", "k")
    assert stat["attributes"] == {"content-type": "text/x", **{k[5:]: v for k, v in LONG.items()}}
    assert stat["tags"] == {"a": "b"} and stat["original_mtime"] == 1700000000123 and stat["version"] == 41
    assert len([k for k in place.keys() if k.startswith(OWN + "meta/")]) == 1


@pytest.mark.parametrize("how", ["gone", "broken"])
def test_a_side_object_that_is_lost_takes_no_object_along(place, tool, tmp_path, how):
    t = open_place(place, tool)
    t.ok("put", "k", "@5", "attr:content-type=text/x", *words(LONG))
    etag = t.ok("stat", "k")["original_etag"]
    (side,) = [k[len(PATH):] for k in place.keys() if k.startswith(OWN + "meta/")]
    if how == "gone":
        t.ok("remove", side)
    else:
        (tmp_path / "f").write_bytes(b"{")
        t.ok("put", side, str(tmp_path / "f"))
    stat = t.ok("stat", "k")
    assert (stat["side_lost"], stat["size"], stat["original_etag"]) == (True, 5, etag)
    assert t.bytes("k", 0, 5)
