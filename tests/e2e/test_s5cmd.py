"""s5cmd: cp, sync, ls, rm with wildcards, cat, mv, pipe, du, presign and run with many workers."""

import json
import urllib.request

import pytest

import harness
from conftest import bucket_name


class S5cmd:
    def __init__(self, server):
        self.env = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
                    "AWS_REGION": "us-east-1"}
        if server.ca:
            self.env["AWS_CA_BUNDLE"] = server.ca
        self.base = ["s5cmd", "--endpoint-url", server.endpoint, "--retry-count", "0"]

    def __call__(self, *args, **how):
        return harness.run([*self.base, *args], env=self.env, **how)

    def keys(self, where):
        return [json.loads(line)["key"] for line in self("--json", "ls", where).stdout.splitlines()]


@pytest.fixture
def s5cmd(any_server):
    return S5cmd(any_server)


def test_files_go_there_and_back(s5cmd, tmp_path):
    bucket = bucket_name()
    s5cmd("mb", f"s3://{bucket}")
    source = tmp_path / "source"
    for i in range(120):
        harness.write_random(source / f"d{i % 4}" / f"f{i}.bin", 700 * i, 1)
    harness.write_random(source / "large.bin", 30 << 20, 1)
    s5cmd("cp", "--part-size", "5", "--concurrency", "4", f"{source}/", f"s3://{bucket}/tree/")
    assert len(s5cmd.keys(f"s3://{bucket}/tree/*")) == 121
    s5cmd("cp", f"s3://{bucket}/tree/*", f"{tmp_path}/back/")
    assert harness.same_tree(source, tmp_path / "back") is None

    assert s5cmd("cat", f"s3://{bucket}/tree/d1/f1.bin").stdout.encode("utf-8", "surrogateescape") == \
        (source / "d1/f1.bin").read_bytes()
    s5cmd("rm", f"s3://{bucket}/tree/d1/f1*.bin")
    left = s5cmd.keys(f"s3://{bucket}/tree/d1/*")
    assert left and not [k for k in left if "/f1" in k]
    s5cmd("sync", f"{source}/", f"s3://{bucket}/tree/")
    assert len(s5cmd.keys(f"s3://{bucket}/tree/*")) == 121
    (source / "d2" / "f2.bin").unlink()
    s5cmd("sync", "--delete", f"{source}/", f"s3://{bucket}/tree/")
    assert len(s5cmd.keys(f"s3://{bucket}/tree/*")) == 120

    s5cmd("cp", f"s3://{bucket}/tree/d3/*", f"s3://{bucket}/copy/")
    s5cmd("mv", f"s3://{bucket}/copy/f3.bin", f"s3://{bucket}/moved.bin")
    assert s5cmd("cat", f"s3://{bucket}/moved.bin").stdout.encode("utf-8", "surrogateescape") == \
        (source / "d3/f3.bin").read_bytes()
    s5cmd("rm", f"s3://{bucket}/*")
    s5cmd("rb", f"s3://{bucket}")
    assert bucket not in s5cmd("ls").stdout


def test_a_pipe_and_a_presigned_url(server):
    s5cmd, bucket = S5cmd(server), bucket_name()
    s5cmd("mb", f"s3://{bucket}")
    s5cmd("pipe", f"s3://{bucket}/piped", stdin="through a pipe")
    url = s5cmd("presign", "--expire", "5m", f"s3://{bucket}/piped").stdout.strip()
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"through a pipe"
    told = json.loads(s5cmd("--json", "du", f"s3://{bucket}/*").stdout)
    assert told["size"] == len("through a pipe") and told["count"] == 1


def test_a_run_of_many_commands_at_once(server, tmp_path):
    s5cmd, bucket = S5cmd(server), bucket_name()
    s5cmd("mb", f"s3://{bucket}")
    for i in range(200):
        harness.write_random(tmp_path / f"f{i}", 40 * i, 2)
    s5cmd("--numworkers", "32", "run", stdin="\n".join(f"cp {tmp_path}/f{i} s3://{bucket}/{i:03}" for i in range(200)))
    assert s5cmd.keys(f"s3://{bucket}/*") == [f"s3://{bucket}/{i:03}" for i in range(200)]
    s5cmd("--numworkers", "32", "run", stdin="\n".join(f"cp s3://{bucket}/{i:03} {tmp_path}/back/f{i}" for i in range(200)))
    for i in range(200):
        assert (tmp_path / "back" / f"f{i}").read_bytes() == (tmp_path / f"f{i}").read_bytes()
    s5cmd("--numworkers", "32", "run", stdin="\n".join(f"rm s3://{bucket}/{i:03}" for i in range(200)))
    assert s5cmd("ls", f"s3://{bucket}/*", check=False).stdout == ""


def test_a_missing_object_is_an_error_in_words(server):
    s5cmd, bucket = S5cmd(server), bucket_name()
    s5cmd("mb", f"s3://{bucket}")
    done = s5cmd("cat", f"s3://{bucket}/none", check=False)
    assert done.returncode != 0 and "not found" in done.stderr
