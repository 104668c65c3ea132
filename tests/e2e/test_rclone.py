"""rclone: sync, check, multipart of large files, server-side copies, mounts of odd names, purge."""

import hashlib
import subprocess

import pytest

import harness
from conftest import bucket_name

LARGE = (3 << 30) + 12345 if harness.BIG else 256 << 20


class Rclone:
    def __init__(self, server, scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        self.config = scratch / "rclone.conf"
        self.config.write_text("\n".join([
            "[s3]", "type = s3", "provider = Other", f"access_key_id = {server.access_key}",
            f"secret_access_key = {server.secret_key}", f"endpoint = {server.endpoint}", "region = us-east-1",
            "force_path_style = true", "list_version = 2", "use_multipart_etag = true", ""]))
        self.options = ["--config", self.config, "--retries", "1", "--low-level-retries", "1"]
        if server.ca:
            self.options += ["--ca-cert", server.ca]

    def __call__(self, *args, **how):
        return harness.run(["rclone", *self.options, *args], timeout=900 if harness.BIG else 170, **how)


@pytest.fixture
def rclone(any_server, tmp_path):
    return Rclone(any_server, tmp_path / "rclone")


def test_a_tree_is_synced_checked_changed_and_synced_again(rclone, tmp_path):
    source, bucket = tmp_path / "source", bucket_name()
    for i in range(80):
        harness.write_random(source / f"d{i % 5}" / f"f {i}.bin", 1500 * i, 1)
    (source / "ünï ☃ +&%?#.txt").write_text("odd")
    rclone("mkdir", f"s3:{bucket}")
    rclone("sync", source, f"s3:{bucket}/tree")
    rclone("check", source, f"s3:{bucket}/tree")
    rclone("check", "--download", source, f"s3:{bucket}/tree")

    (source / "d0" / "f 5.bin").write_bytes(b"changed")
    (source / "d1" / "f 6.bin").unlink()
    differs = rclone("check", source, f"s3:{bucket}/tree", check=False)
    assert differs.returncode != 0
    rclone("sync", source, f"s3:{bucket}/tree")
    rclone("check", "--download", source, f"s3:{bucket}/tree")
    assert (source / "d1" / "f 6.bin").exists() is False

    rclone("copy", f"s3:{bucket}/tree", tmp_path / "back")
    assert harness.same_tree(source, tmp_path / "back") is None
    again = rclone("sync", "-v", "--stats-one-line", source, f"s3:{bucket}/tree")
    assert "Copied" not in again.stderr, "times were not kept, so an unchanged file went again"

    rclone("copy", f"s3:{bucket}/tree", f"s3:{bucket}/copy")
    rclone("check", "--download", source, f"s3:{bucket}/copy")
    rclone("moveto", f"s3:{bucket}/copy/d2", f"s3:{bucket}/moved")
    listed = rclone("lsf", "-R", "--files-only", f"s3:{bucket}/copy").stdout
    assert "d2/" not in listed and "d3/" in listed
    rclone("purge", f"s3:{bucket}")
    assert bucket not in rclone("lsd", "s3:").stdout


@pytest.mark.timeout(3600 if harness.BIG else 180)
def test_a_large_file_goes_by_parts_and_comes_back(server, tmp_path):
    """The bytes are made as they are sent (rcat has no length), so that a big run needs no file of its size."""
    rclone, bucket = Rclone(server, tmp_path), bucket_name()
    rclone("mkdir", f"s3:{bucket}")
    block = hashlib.shake_256(b"large").digest(1 << 20)

    def pieces():
        left, number = LARGE, 0
        while left > 0:
            piece = (number.to_bytes(8, "big") + block[8:])[:left]
            yield piece
            left, number = left - len(piece), number + 1

    sent, got = hashlib.sha256(), hashlib.sha256()
    base = ["rclone", *map(str, rclone.options)]
    env = {"PATH": f"{harness.BUILD}/venv/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    with open(tmp_path / "err", "wb") as err:
        put = subprocess.Popen([*base, "rcat", "--s3-chunk-size", "16M", f"s3:{bucket}/large"], env=env, stderr=err,
                               stdin=subprocess.PIPE)
        for piece in pieces():
            sent.update(piece)
            put.stdin.write(piece)
        put.stdin.close()
        assert put.wait(1200) == 0, (tmp_path / "err").read_text()
        size = rclone("size", "--json", f"s3:{bucket}").stdout
        assert f'"bytes":{LARGE}' in size.replace(" ", "")
        cat = subprocess.Popen([*base, "cat", f"s3:{bucket}/large"], env=env, stdout=subprocess.PIPE, stderr=err)
        while piece := cat.stdout.read(1 << 20):
            got.update(piece)
        assert cat.wait(1200) == 0, (tmp_path / "err").read_text()
    assert got.digest() == sent.digest()


def test_a_multipart_copy_inside_the_store(server, tmp_path):
    rclone, bucket = Rclone(server, tmp_path / "r"), bucket_name()
    harness.write_random(tmp_path / "file", 33 << 20, 4)
    rclone("copyto", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "--s3-upload-concurrency", "4",
           tmp_path / "file", f"s3:{bucket}/a/file")
    rclone("copyto", "--s3-copy-cutoff", "6M", f"s3:{bucket}/a/file", f"s3:{bucket}/b/file")
    rclone("check", "--download", tmp_path / "file", f"s3:{bucket}/b/file", check=False)
    rclone("copyto", f"s3:{bucket}/b/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_old_versions_are_listed_and_cleaned(server, tmp_path):
    rclone, bucket = Rclone(server, tmp_path / "r"), bucket_name()
    rclone("mkdir", f"s3:{bucket}")
    rclone("backend", "versioning", f"s3:{bucket}", "Enabled")
    assert "Enabled" in rclone("backend", "versioning", f"s3:{bucket}").stdout
    for text in ("one", "two", "three"):
        rclone("rcat", f"s3:{bucket}/f", stdin=text)
    versions = rclone("lsf", "--s3-versions", f"s3:{bucket}").stdout.splitlines()
    assert len(versions) == 3 and versions[0] == "f"
    rclone("backend", "cleanup-hidden", f"s3:{bucket}")
    assert rclone("lsf", "--s3-versions", f"s3:{bucket}").stdout.splitlines() == ["f"]
    assert rclone("cat", f"s3:{bucket}/f").stdout == "three"
