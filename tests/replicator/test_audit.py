"""holdfast audit: what is missing or differs outside is found and sent again; what is there alone is told and left."""

import json
import random

import harness
import pytest
from holdfasts import SCRUB_OFF, add, cli, client, destination, files, flip, keys, metric, wait_settled


@pytest.fixture
def pair():
    near, far = harness.Server(args=SCRUB_OFF), harness.Server(args=SCRUB_OFF)
    try:
        near.start(), far.start()
        add(near, far)
        s3 = client(near)
        s3.create_bucket(Bucket="bucket")
        s3.create_bucket(Bucket="bucket-2")
        yield near, far, s3
    finally:
        far.sound = near.sound = near.sound and far.sound
        near.close()
        far.close()


def fill(s3, n=60):
    bodies = {}
    for i in range(n):
        bucket = ("bucket", "bucket-2")[i % 2]
        body = random.Random(i).randbytes(1 if i < 5 else 1000 * i)
        s3.put_object(Bucket=bucket, Key=f"dir/k {i}", Body=body, Metadata={"n": str(i)})
        bodies[f"{bucket}/dir/k {i}"] = body
    return bodies


def audit(near, *options, status=0):
    return json.loads(cli("audit", "far", "--data", near.data, "--json", *options, status=status))


def test_a_copy_that_is_whole_is_called_so(pair):
    near, far, s3 = pair
    bodies = fill(s3)
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=n,
                                                     Body=bytes([n]) * (5 << 20))["ETag"]} for n in (1, 2)]
    s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    wait_settled(near)
    said = audit(near)
    assert said["objects"] == said["total"] == len(bodies) + 1
    assert said["missing"] == said["different"] == said["foreign"] == said["sent_again"] == 0
    said = audit(near, "--read-data")
    assert said["bytes_read"] == sum(map(len, bodies.values())) + (10 << 20) and said["different"] == 0
    assert "0 missing, 0 different" in cli("audit", "far", "--data", near.data)
    assert metric(near, "destination_audit_timestamp_seconds", '{destination="far"}') > 0


def test_what_is_missing_or_differs_is_sent_again(pair):
    near, far, s3 = pair
    bodies = fill(s3)
    wait_settled(near)
    there = client(far)
    before = keys(there, "outside", "copies/")
    there.delete_object(Bucket="outside", Key="copies/bucket/dir/k 0")
    there.delete_object(Bucket="outside", Key="copies/bucket/dir/k 40")
    there.put_object(Bucket="outside", Key="copies/bucket-2/dir/k 41", Body=b"shorter")
    there.put_object(Bucket="outside", Key="copies/bucket-2/dir/k 43", Body=bodies["bucket-2/dir/k 43"][::-1])
    there.put_object(Bucket="outside", Key="copies/bucket/alone", Body=b"foreign")
    there.put_object(Bucket="outside", Key="copies/zzz", Body=b"foreign")
    there.put_object(Bucket="outside", Key="elsewhere", Body=b"not below the path")
    said = audit(near, status=1)
    assert (said["missing"], said["different"], said["foreign"], said["sent_again"]) == (2, 2, 2, 4)
    found = {(f["finding"], f["key"]) for f in said["findings"]}
    assert found == {("missing", "bucket/dir/k 0"), ("missing", "bucket/dir/k 40"),
                     ("different", "bucket-2/dir/k 41"), ("different", "bucket-2/dir/k 43"),
                     ("foreign", "bucket/alone"), ("foreign", "zzz")}
    wait_settled(near)
    said = audit(near)
    assert (said["missing"], said["different"], said["foreign"]) == (0, 0, 2)
    after = keys(there, "outside", "copies/")
    assert {k: o["ETag"] for k, o in after.items() if "alone" not in k and "zzz" not in k} == \
        {k: o["ETag"] for k, o in before.items()}
    for key, body in bodies.items():
        assert there.get_object(Bucket="outside", Key="copies/" + key)["Body"].read() == body


def test_bytes_that_rotted_outside_are_found_by_reading_them(pair):
    near, far, s3 = pair
    bodies = fill(s3)
    wait_settled(near)
    flip(files(far)[10], 30)
    far.sound = False
    # A listing does not show it.
    assert audit(near)["different"] == 0
    said = audit(near, "--read-data", status=None)
    assert said["different"] == 1 or said["error"]
    wait_settled(near)
    if not said["error"]:
        assert audit(near, "--read-data")["different"] == 0
    assert len(bodies) == 60


def test_changes_meanwhile_are_not_called_differences(pair):
    near, far, s3 = pair
    fill(s3, 20)
    wait_settled(near)
    cli("destination", "pause", "far", "--data", near.data)
    s3.put_object(Bucket="bucket", Key="new", Body=b"x" * 100)
    s3.put_object(Bucket="bucket", Key="dir/k 10", Body=b"y" * 100)
    s3.delete_object(Bucket="bucket", Key="dir/k 12")
    said = audit(near)
    assert (said["missing"], said["different"], said["foreign"], said["sent_again"]) == (0, 0, 0, 0)
    assert said["pending"] >= 2
    cli("destination", "resume", "far", "--data", near.data)
    wait_settled(near)
    said = audit(near)
    assert (said["missing"], said["different"], said["foreign"], said["pending"]) == (0, 0, 0, 0)


def test_one_that_cannot_be_reached_is_not_called_empty(pair):
    near, far, s3 = pair
    fill(s3, 10)
    wait_settled(near)
    far.stop()
    said = audit(near, status=3)
    assert said["error"] and said["missing"] == 0 and said["sent_again"] == 0
    far.start()
    wait_settled(near)
    assert audit(near)["objects"] == 10
    cli("audit", "nobody", "--data", near.data, status=3)


def test_audits_come_by_themselves():
    near, far = harness.Server(args=[*SCRUB_OFF, "--audit-interval", "1s"]), harness.Server(args=SCRUB_OFF)
    try:
        near.start(), far.start()
        add(near, far)
        s3 = client(near)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"x")
        wait_settled(near)
        client(far).delete_object(Bucket="outside", Key="copies/bucket/k")
        harness.wait_until("the copy to be back", lambda: keys(client(far), "outside", "copies/bucket/k"), 60)
        assert destination(near)["state"] in ("consistent", "catching up")
    finally:
        near.close()
        far.close()
