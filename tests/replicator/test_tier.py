"""When the disk is nearly full, contents that are outside are given up here, and reads go through."""

import os
import random
import shutil
import subprocess
import tempfile
import time

import botocore.exceptions
import harness
import pytest
from holdfasts import SCRUB_OFF, add, cli, client, files, metric, status, wait_settled

MIB = 1 << 20
SIZE = 2 * MIB
HIGH = 43 * MIB
MARK = ["--tier-high-water", "40%"]


@pytest.fixture
def small_disk():
    """A file system in memory: its folder."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    folder = tempfile.mkdtemp(prefix="holdfast-disk.")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=108m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pair(holdfasts, small_disk):
    """A near server on a small disk that gives up above HIGH, a far one, and a bucket."""
    far = holdfasts(args=SCRUB_OFF).start()
    near = holdfasts(args=SCRUB_OFF + MARK, data=f"{small_disk}/data").start()
    add(near, far)
    s3 = client(near)
    s3.create_bucket(Bucket="bucket")
    return near, far, s3


def used(server):
    disk = os.statvfs(server.data)
    return (disk.f_blocks - disk.f_bavail) * disk.f_frsize


def body(n, size=SIZE):
    return random.Random(n).randbytes(size)


def put_many(s3, numbers, size=SIZE):
    for n in numbers:
        s3.put_object(Bucket="bucket", Key=f"k{n:03}", Body=body(n, size))


def wait_given_up(near, seconds=30):
    """Until the disk is below the lower mark."""
    harness.wait_until("room", lambda: used(near) < HIGH and metric(near, "away_contents"), seconds)


def get(s3, key, **how):
    return s3.get_object(Bucket="bucket", Key=key, **how)["Body"].read()


def put_parts(s3, key, parts):
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
    done = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key=key, UploadId=upload, PartNumber=n,
                                                     Body=part)["ETag"]} for n, part in enumerate(parts, 1)]
    s3.complete_multipart_upload(Bucket="bucket", Key=key, UploadId=upload, MultipartUpload={"Parts": done})


def test_above_the_mark_the_least_recently_read_are_given_up_and_read_through(pair):
    near, far, s3 = pair
    s3.put_object(Bucket="bucket", Key="backups/b/b.tar.gz", Body=body(500))
    put_many(s3, range(17))
    wait_settled(near)
    make_old(near)
    get(s3, "k003")
    put_many(s3, range(17, 25))
    wait_settled(near)
    wait_given_up(near)
    paths = files(near)
    away = [n - 1 for n, p in enumerate(paths) if is_given_up(p)]
    assert -1 not in away and 3 not in away and 24 not in away, away
    assert {0, 1, 2} <= set(away), away
    told = status(near)
    assert told["away_contents"] == len(away) and told["away_bytes"] == len(away) * SIZE
    assert "outside only" in cli("status", "--data", near.data)
    before = metric(near, "filled_contents_total")
    for n in range(25):
        assert get(s3, f"k{n:03}") == body(n)
        assert used(near) < HIGH + 8 * MIB  # of each that is fetched at the same time one may be above it
    assert metric(near, "filled_contents_total") > before
    near.stop()
    cli("check", near.data, "--read-data")
    near.start()
    s3 = client(near)
    assert get(s3, "k000") == body(0)


def is_given_up(path):
    found = os.stat(path)
    return found.st_blocks * 512 < found.st_size


def make_old(near):
    """As if what is there had been read long ago, in the order in which it was written."""
    # What the journal names stays.
    harness.wait_until("the journal's end", lambda: metric(near, "journal_entries") == 0, 30)
    for n, path in enumerate(files(near)):
        os.utime(path, (time.time() - 40000 + n, os.stat(path).st_mtime))


def test_large_ones_are_read_block_by_block(pair):
    near, far, s3 = pair
    whole = body(1, 14 * MIB + 777)
    parts = [body(2, 9 * MIB + 5), body(3, 6 * MIB), body(4, 100)]
    s3.put_object(Bucket="bucket", Key="whole", Body=whole)
    put_parts(s3, "parts", parts)
    wait_settled(near)
    make_old(near)
    put_many(s3, range(20))
    harness.wait_until("the three files", lambda: all(is_given_up(p) for p in files(near)[:3]), 30)
    for first, last in ((0, 10), (65535, 65536), (10 * MIB - 3, 13 * MIB), (14 * MIB, 14 * MIB + 776)):
        assert get(s3, "whole", Range=f"bytes={first}-{last}") == whole[first:last + 1]
        got = get(s3, "parts", Range=f"bytes={first}-{last}") if last < 15 * MIB else b""
        assert got == b"".join(parts)[first:last + 1][:len(got)]
    assert get(s3, "whole") == whole
    assert get(s3, "parts") == b"".join(parts)
    assert s3.get_object(Bucket="bucket", Key="parts", PartNumber=2)["Body"].read() == parts[1]




def overwrite_outside(far, key, made):
    """What is outside gets other bytes of the same size and facts, as nobody's mistake but the provider's."""
    there = client(far)
    head = there.head_object(Bucket="outside", Key=f"copies/bucket/{key}")
    there.put_object(Bucket="outside", Key=f"copies/bucket/{key}", Body=made, Metadata=head["Metadata"])


@pytest.fixture
def away(pair):
    """A pair with k000 to k002 and the larger "large" given up at the near one."""
    near, far, s3 = pair
    put_many(s3, range(3))
    s3.put_object(Bucket="bucket", Key="large", Body=body(100, 9 * MIB + 5))
    wait_settled(near)
    make_old(near)
    put_many(s3, range(10, 30))
    harness.wait_until("the four files", lambda: all(is_given_up(p) for p in files(near)[:4]), 30)
    wait_settled(near)
    return near, far, s3


def read_fails(s3, key, **how):
    """Why a read fails: the status of its answer, or 0 when the bytes are cut off."""
    try:
        get(s3, key, **how)
    except botocore.exceptions.ClientError as e:
        return e.response["ResponseMetadata"]["HTTPStatusCode"]
    except (botocore.exceptions.ResponseStreamingError, botocore.exceptions.IncompleteReadError,
            botocore.exceptions.HTTPClientError):
        return 0
    raise AssertionError(f"{key} was read")


def test_wrong_bytes_outside_are_never_served(away):
    near, far, s3 = away
    small, large = body(0), body(100, 9 * MIB + 5)
    overwrite_outside(far, "k000", small[:5000] + b"!" + small[5001:])
    overwrite_outside(far, "large", large[:8 * MIB] + b"!" + large[8 * MIB + 1:])
    assert read_fails(s3, "k000") == 500
    assert read_fails(s3, "k000", Range="bytes=100-200") == 500
    assert read_fails(s3, "large") == 0
    assert read_fails(s3, "large", Range=f"bytes={8 * MIB}-{8 * MIB + 5}") == 500
    # The other blocks of it are right.
    assert get(s3, "large", Range="bytes=100-200") == large[100:201]
    assert metric(near, "damaged_outside_total") >= 4
    assert get(s3, "k001") == body(1)
    overwrite_outside(far, "k000", small)
    overwrite_outside(far, "large", large)
    assert get(s3, "k000") == small
    assert get(s3, "large") == large


def test_with_the_destination_away_all_that_is_here_is_served(away):
    near, far, s3 = away
    far.stop()
    for key in ("k000", "large"):
        with pytest.raises(botocore.exceptions.ClientError) as e:
            get(s3, key)
        answer = e.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) > 0
        assert "destination" in answer["Error"]["Message"]
        assert s3.head_object(Bucket="bucket", Key=key)["ContentLength"] > 0
    assert get(s3, "k029") == body(29)
    s3.put_object(Bucket="bucket", Key="new", Body=b"new")
    far.start()
    assert get(s3, "k000") == body(0)
    assert get(s3, "large") == body(100, 9 * MIB + 5)


def test_what_is_away_is_overwritten_copied_deleted_and_kept_as_a_version(away):
    near, far, s3 = away
    s3.put_object(Bucket="bucket", Key="k000", Body=b"new")
    assert get(s3, "k000") == b"new"
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k001")
    s3.delete_object(Bucket="bucket", Key="k001")
    assert get(s3, "copy") == body(1)
    upload = s3.create_multipart_upload(Bucket="bucket", Key="part")["UploadId"]
    etag = s3.upload_part_copy(Bucket="bucket", Key="part", UploadId=upload, PartNumber=1, CopySource="bucket/large",
                               CopySourceRange=f"bytes=100-{7 * MIB}")["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(Bucket="bucket", Key="part", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert get(s3, "part") == body(100, 9 * MIB + 5)[100:7 * MIB + 1]
    s3.put_object_tagging(Bucket="bucket", Key="k002", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    # With versions on, an old version must be here before a new one comes: outside there is only one.
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})

    def put_version():
        try:
            return s3.put_object(Bucket="bucket", Key="k002", Body=b"second")
        except botocore.exceptions.ClientError as e:
            assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 503, e

    harness.wait_until("the old version to be here", put_version, 30)
    old = [v for v in s3.list_object_versions(Bucket="bucket", Prefix="k002")["Versions"] if not v["IsLatest"]]
    wait_settled(near)
    assert get(s3, "k002") == b"second"
    assert get(s3, "k002", VersionId=old[0]["VersionId"]) == body(2)
    assert client(far).get_object(Bucket="outside", Key="copies/bucket/copy")["Body"].read() == body(1)
    s3.delete_object(Bucket="bucket", Key="large", VersionId="null")
    wait_settled(near)
    near.stop()
    cli("check", near.data, "--read-data")
    near.start()


def test_a_destination_that_has_something_alone_stays_until_that_is_fetched(away):
    near, far, s3 = away
    refused = subprocess.run([harness.BINARY, "destination", "remove", "far", "--data", near.data],
                             capture_output=True, text=True)
    assert refused.returncode != 0 and "alone" in refused.stderr, refused
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": f"k{n:03}"} for n in range(16, 30)]})
    wait_settled(near)
    near.stop()
    near.args = SCRUB_OFF
    near.start()
    harness.wait_until("all to be here", lambda: metric(near, "away_contents") == 0, 30)
    far.stop()
    s3 = client(near)
    assert get(s3, "large") == body(100, 9 * MIB + 5)
    cli("destination", "remove", "far", "--data", near.data)
    far.start()


def test_a_lost_index_is_rebuilt_with_what_is_away(away):
    near, far, s3 = away
    near.stop()
    shutil.rmtree(near.data / "index")
    told = cli("rebuild", near.data, status=1)
    assert "destination alone" in told, told
    near.start()
    add(near, far, "far", "copies", "outside", "--take-over")
    s3 = client(near)
    assert get(s3, "k000") == body(0)
    assert get(s3, "large") == body(100, 9 * MIB + 5)


def test_killed_while_giving_up_and_while_fetching_nothing_is_lost(pair):
    near, far, s3 = pair
    rng = random.Random()
    put_many(s3, range(20))
    wait_settled(near)
    for turn in range(3):
        put_many(s3, range(20 + turn * 4, 24 + turn * 4))
        time.sleep(rng.random() * 1.5)
        for n in rng.sample(range(20), 3):
            get(s3, f"k{n:03}")
        near.kill()
        near.start()
        s3 = client(near)
        wait_settled(near)
    for n in range(32):
        assert get(s3, f"k{n:03}") == body(n)
    wait_given_up(near)
    harness.wait_until("leftovers to be taken up", lambda: all(
        is_given_up(p) or os.stat(p).st_blocks > 0 for p in files(near)), 5)


def test_what_is_not_whole_outside_is_not_given_up(pair):
    near, far, s3 = pair
    put_many(s3, range(4))
    wait_settled(near)
    make_old(near)
    there = client(far)
    there.delete_object(Bucket="outside", Key="copies/bucket/k000")
    there.put_object(Bucket="outside", Key="copies/bucket/k001", Body=body(0))
    overwrite_outside(far, "k002", body(0))
    put_many(s3, range(10, 30))
    wait_settled(near)
    wait_given_up(near)
    assert [is_given_up(p) for p in files(near)[:4]] == [False, False, False, True]
    far.stop()
    for n in range(3):
        assert get(s3, f"k{n:03}") == body(n)
    far.start()


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")
def test_a_restic_repository_that_is_mostly_outside_passes_its_full_check(pair, tmp_path):
    near, far, s3 = pair

    def restic(*words):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": near.access_key, "AWS_SECRET_ACCESS_KEY": near.secret_key,
               "RESTIC_PASSWORD": "secret", "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
        return subprocess.run(["restic", "-r", f"s3:{near.endpoint}/bucket/restic", *words], env=env, capture_output=True,
                              text=True, timeout=120, check=True)

    restic("init")
    tree = tmp_path / "tree"
    tree.mkdir()
    for turn in range(3):
        for n in range(6):
            (tree / f"{turn}-{n}").write_bytes(os.urandom(4 * MIB))
        restic("backup", str(tree))
    wait_settled(near)
    wait_given_up(near)
    assert metric(near, "away_bytes") > 20 * MIB
    restic("check", "--read-data", "--no-cache")
    restic("forget", "--keep-last", "1", "--prune")
    restic("restore", "latest", "--target", str(tmp_path / "back"))
    for path in tree.iterdir():
        assert (tmp_path / "back" / str(path).lstrip("/")).read_bytes() == path.read_bytes()
    wait_settled(near)
