"""s3cmd: mb, put, get, sync, ls, info, cp, mv, del, rb, with parts and with its own MD5 checks, over http and https."""

import hashlib
import shutil

import pytest

import harness
from conftest import bucket_name

pytestmark = pytest.mark.skipif(not shutil.which("s3cmd"), reason="s3cmd is not installed")


class S3cmd:
    def __init__(self, server):
        self.base = ["s3cmd", "--config", "/dev/null", "--access_key", server.access_key, "--secret_key", server.secret_key,
                     "--host", server.host, "--host-bucket", server.host, "--region", "us-east-1", "--no-progress"]
        self.base += ["--ssl", f"--ca-certs={server.ca}"] if server.ca else ["--no-ssl"]

    def __call__(self, *args, **how):
        return harness.run([*self.base, *args], **how)


@pytest.fixture
def s3cmd(any_server):
    return S3cmd(any_server)


def test_files_go_there_and_back(s3cmd, tmp_path):
    bucket = bucket_name()
    s3cmd("mb", f"s3://{bucket}")
    source = tmp_path / "source"
    for i in range(25):
        harness.write_random(source / f"d{i % 3}" / f"f {i}", 3000 * i + 1, 1)
    (source / "ünï +&%.txt").write_text("odd")
    s3cmd("sync", f"{source}/", f"s3://{bucket}/tree/")
    s3cmd("sync", f"s3://{bucket}/tree/", f"{tmp_path}/back/")
    assert harness.same_tree(source, tmp_path / "back") is None
    again = s3cmd("sync", f"{source}/", f"s3://{bucket}/tree/")
    assert "upload:" not in again.stdout

    (source / "d0" / "f 0").unlink()
    s3cmd("sync", "--delete-removed", f"{source}/", f"s3://{bucket}/tree/")
    listed = s3cmd("ls", "--recursive", f"s3://{bucket}/").stdout
    assert "d0/f 0\n" not in listed and "d0/f 3\n" in listed

    info = s3cmd("info", f"s3://{bucket}/tree/d1/f 1").stdout
    assert hashlib.md5((source / "d1/f 1").read_bytes()).hexdigest() in info
    s3cmd("cp", f"s3://{bucket}/tree/d1/f 1", f"s3://{bucket}/copied")
    s3cmd("mv", f"s3://{bucket}/copied", f"s3://{bucket}/moved")
    s3cmd("get", f"s3://{bucket}/moved", tmp_path / "moved")
    assert (tmp_path / "moved").read_bytes() == (source / "d1/f 1").read_bytes()
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}/tree/")
    assert s3cmd("ls", "--recursive", f"s3://{bucket}/").stdout.split()[-1] == f"s3://{bucket}/moved"
    s3cmd("rb", "--force", "--recursive", f"s3://{bucket}")
    assert bucket not in s3cmd("ls").stdout


def test_a_file_in_parts(s3cmd, tmp_path):
    bucket = bucket_name()
    s3cmd("mb", f"s3://{bucket}")
    harness.write_random(tmp_path / "file", (17 << 20) + 5, 2)
    s3cmd("put", "--multipart-chunk-size-mb=5", tmp_path / "file", f"s3://{bucket}/file")
    s3cmd("get", f"s3://{bucket}/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    assert s3cmd("multipart", f"s3://{bucket}").stdout.count("s3://") <= 1


def test_a_broken_download_is_taken_up_again(server, tmp_path):
    s3cmd, bucket = S3cmd(server), bucket_name()
    s3cmd("mb", f"s3://{bucket}")
    harness.write_random(tmp_path / "file", 1 << 20, 3)
    s3cmd("put", tmp_path / "file", f"s3://{bucket}/file")
    (tmp_path / "part").write_bytes((tmp_path / "file").read_bytes()[:300_000])
    s3cmd("get", "--continue", f"s3://{bucket}/file", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_missing_bucket_is_an_error_in_words(server, tmp_path):
    done = S3cmd(server)("ls", f"s3://{bucket_name()}", check=False)
    assert done.returncode != 0 and "NoSuchBucket" in done.stderr
