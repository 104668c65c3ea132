"""The loss of a node and the way back, over each kind of destination."""

import json
import random
import shutil
import subprocess
import threading
import time

import pytest

import harness
from holdfasts import SCRUB_OFF, cli, client, destination, keys, metric, wait_settled
from places import OWN, PLACES, open_place
from test_restore import facts, restic

pytestmark = pytest.mark.timeout(170)
MIB = 1 << 20
AWKWARD = "metadata/sp ace+plus&amp=%2F%25;semi,comma'\"<lt>|^`#?x=y"
UNICODE = "metadata/ä/Ünïcödé €/日本語"


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(params=PLACES)
def place(request):
    with open_place(request.param) as p:
        yield p


def fill(near, tmp_path):
    """A bucket as a backup tool leaves it, and more of each kind. The bodies by their keys."""
    s3, rnd = client(near), random.Random(5)
    s3.create_bucket(Bucket="velero")
    s3.create_bucket(Bucket="second")
    tree = tmp_path / "tree"
    for i in range(12):
        harness.write_random(tree / f"f{i}", 300_000, i)
    restic(near, "init")
    restic(near, "backup", tree)
    bodies = {AWKWARD: b"awkward", UNICODE: rnd.randbytes(70_000), "metadata/empty": b"", "zz/large": rnd.randbytes(20 * MIB),
              "kopia/parts": rnd.randbytes(12 * MIB + 5)}
    for name in ("one", "two"):
        bodies[f"backups/{name}/velero-backup.json"] = json.dumps({"status": {"phase": "Completed"}}).encode()
        bodies[f"backups/{name}/{name}.tar.gz"] = rnd.randbytes(30_000)
    for key, body in bodies.items():
        if key != "kopia/parts":
            s3.put_object(Bucket="velero", Key=key, Body=body, Metadata={"a-b": "c d", "e": "%"}, ContentType="text/x; a=b",
                          CacheControl="no-cache", ContentDisposition='attachment; filename="x"', ContentLanguage="de",
                          Tagging="t=1&u=%C3%BC")
    upload = s3.create_multipart_upload(Bucket="velero", Key="kopia/parts", Metadata={"in": "parts"})["UploadId"]
    body = bodies["kopia/parts"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="velero", Key="kopia/parts", UploadId=upload, PartNumber=n,
                                                     Body=body[at:at + 5 * MIB])["ETag"]}
             for n, at in ((1, 0), (2, 5 * MIB), (3, 10 * MIB))]
    s3.complete_multipart_upload(Bucket="velero", Key="kopia/parts", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.put_object(Bucket="second", Key="k", Body=b"k")
    wait_settled(near)
    harness.wait_until("the backups", lambda: destination(near)["held"] == 0, 60)
    wait_settled(near)
    return bodies


def tags(s3, key):
    return sorted((t["Key"], t["Value"]) for t in s3.get_object_tagging(Bucket="velero", Key=key)["TagSet"])


def parts(s3, key):
    """What a client that reads part by part is told: how many, and the bytes of each."""
    first = s3.get_object(Bucket="velero", Key=key, PartNumber=1)
    bodies = [first["Body"].read()]
    for n in range(2, first["PartsCount"] + 1):
        bodies.append(s3.get_object(Bucket="velero", Key=key, PartNumber=n)["Body"].read())
    return first["PartsCount"], bodies


def everything(s3):
    """All that a client sees of each object, but for restic's locks, which stay at home."""
    found = {}
    for key in keys(s3, "velero"):
        if "/locks/" not in key:
            h = s3.head_object(Bucket="velero", Key=key)
            found[key] = (*facts(s3, "velero", key), h.get("CacheControl"), h.get("ContentDisposition"), h.get("ContentLanguage"),
                          tags(s3, key))
    return found


def lose(near, place):
    near.kill()
    shutil.rmtree(near.data)
    place.link.asked.clear()
    near.start()


def restore(near, place, *options):
    return place.add(near, "--take-over", *options, command=("restore", "--from", "far"))


def progress(near):
    return json.loads(cli("restore", "--data", near.data, "--json"))


def first_read(near, key, seconds):
    """When the key could be read, and how."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client(near).get_object(Bucket="velero", Key=key)["Body"].read()
        except client(near).exceptions.ClientError:
            assert time.monotonic() < deadline, "nothing can be read"
            time.sleep(0.02)


def test_a_lost_node_comes_back_from_each_place(near, place, tmp_path):
    place.add(near)
    bodies = fill(near, tmp_path)
    place.write("velero/metadata/foreign", b"others")
    before, there = everything(client(near)), place.listing()
    before_parts = parts(client(near), "kopia/parts")

    lose(near, place)
    place.link.bytes_per_second = 5 * MIB
    runner = threading.Thread(target=restore, args=(near, place))
    runner.start()
    assert first_read(near, UNICODE, 20) == bodies[UNICODE]
    runner.join(60)
    s3 = client(near)
    assert parts(s3, "kopia/parts") == before_parts and before_parts[0] == 3
    restic(near, "check", "--read-data")
    assert not progress(near)["done"], "the contents are not all here yet"
    after = everything(s3)
    foreign = after.pop("metadata/foreign")
    assert after == before
    assert foreign[1] == 6
    assert s3.get_object(Bucket="second", Key="k")["Body"].read() == b"k"
    for key, body in bodies.items():
        assert s3.get_object(Bucket="velero", Key=key)["Body"].read() == body, key
    assert s3.get_object(Bucket="velero", Key="metadata/foreign")["Body"].read() == b"others"
    place.link.bytes_per_second = 0
    harness.wait_until("the fill", lambda: progress(near)["done"], 60)
    wait_settled(near)

    # All that was changed there is whose path it is.
    assert len(place.written()) == 1, place.written()
    now = place.listing()
    changed = {k for k in there.keys() | now.keys() if there.get(k) != now.get(k)}
    assert changed <= {OWN + "owner.json"}
    # It goes on, and what is here needs nobody.
    s3.put_object(Bucket="velero", Key="restic/ns/new", Body=b"new")
    s3.put_object_tagging(Bucket="velero", Key="metadata/foreign", Tagging={"TagSet": [{"Key": "n", "Value": "1"}]})
    wait_settled(near)
    assert place.read("velero/restic/ns/new") == b"new"
    assert place.removed_keys() == []
    place.link.cut()
    for key, body in bodies.items():
        assert s3.get_object(Bucket="velero", Key=key)["Body"].read() == body, key
    assert metric(near, "damaged_contents_total") == 0
    assert parts(s3, "kopia/parts") == before_parts
