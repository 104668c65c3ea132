"""curl with its own Signature Version 4: what a person types in a shell."""

import pytest

import harness
from conftest import bucket_name


class Curl:
    def __init__(self, server):
        self.server = server
        self.base = ["curl", "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
                     f"{server.access_key}:{server.secret_key}", *(["--cacert", server.ca] if server.ca else [])]

    def __call__(self, path, *args, **how):
        return harness.run([*self.base, *args, self.server.endpoint + path], **how)


@pytest.fixture
def curl(any_server):
    return Curl(any_server)


def test_a_bucket_and_files_from_a_shell(curl, tmp_path):
    bucket = bucket_name()
    curl(f"/{bucket}", "-X", "PUT")
    # Above a mebibyte curl asks by Expect: 100-continue and waits a second for the answer.
    for size in (0, 1, 100_000, 5 << 20):
        harness.write_random(tmp_path / "file", size, 1)
        curl(f"/{bucket}/file-{size}", "-T", tmp_path / "file", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD")
        curl(f"/{bucket}/file-{size}", "-o", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    curl(f"/{bucket}/file-100000", "-r", "10-19", "-o", tmp_path / "part")
    harness.write_random(tmp_path / "file", 100_000, 1)
    assert (tmp_path / "part").read_bytes() == (tmp_path / "file").read_bytes()[10:20]
    listed = curl(f"/{bucket}?list-type=2").stdout
    assert listed.count("<Key>") == 4
    head = curl(f"/{bucket}/file-1", "--head").stdout
    assert "HTTP/1.1 200" in head and "content-length: 1\r\n" in head.lower()
    curl(f"/{bucket}/file-1", "-X", "DELETE")
    gone = curl(f"/{bucket}/file-1", check=False)
    assert gone.returncode != 0 and "NoSuchKey" in gone.stdout


def test_many_uploads_over_one_connection(server, tmp_path):
    curl, bucket = Curl(server), bucket_name()
    curl(f"/{bucket}", "-X", "PUT")
    harness.write_random(tmp_path / "file", 900, 2)
    told = curl(f"/{bucket}/f[0-29]", "-T", tmp_path / "file", "-w", "%{num_connects} ",
                "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD").stdout.split()
    assert len(told) == 30 and told.count("1") == 1
