"""Velero's own way to the store: its AWS plugin's calls, made with the SDK releases that plugins were built with.

Plugin 1.8 and older used SDK v1 with the s3manager uploader, newer ones SDK v2 with its manager; each is a Go program under go/
that stores a Velero-shaped tree, reads it back as the plugin does, and leaves it for this test to compare byte for byte.
"""

import pytest

import harness
import s3raw
from conftest import bucket_name, client_for
from goclients import key_pair, program

SIZES = {"backups/nightly/velero-backup.json": 2_000, "backups/nightly/nightly-logs.gz": 70_000,
         "backups/nightly/nightly.tar.gz": 6 << 20, "backups/nightly/nightly-results.gz": 0,
         "backups/nightly/nightly-volumesnapshots.json.gz": 29, "metadata/revision": 36,
         "restores/again/restore-again-logs.gz": (20 << 20) + 7}

RELEASES = ["awsv1-sdk-1.44", "awsv1-sdk-1.55", "awsv2-s3-1.48", "awsv2-s3-1.71", "awsv2-s3-1.74", "awsv2-s3-1.101",
            "awsv2-s3-1.114"]
NEWER = {"awsv2-s3-1.74", "awsv2-s3-1.101", "awsv2-s3-1.114"}


def ways():
    """(transport, release, its options): checksumAlgorithm unset, CRC32, another, and checksums only where required."""
    for transport in ("server", "tls_server"):
        for release in RELEASES:
            yield transport, release, []
            if release.startswith("awsv1"):
                continue
            yield transport, release, ["-checksum", "CRC32"]
            if transport == "server" and release in NEWER:
                yield transport, release, ["-calc", "required"]
                yield transport, release, ["-checksum", "CRC32C", "-calc", "required"]
            elif transport == "server":
                yield transport, release, ["-checksum", "SHA256"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("velero")
    for name, size in SIZES.items():
        harness.write_random(root / name, size, 1)
    return root


@pytest.mark.timeout(700)
@pytest.mark.parametrize("transport,release,options", list(ways()), ids=lambda v: " ".join(v) if isinstance(v, list) else v)
def test_stored_bytes_are_the_sent_bytes(request, tree, transport, release, options):
    any_server, bucket = request.getfixturevalue(transport), bucket_name()
    s3 = client_for(any_server)
    s3.create_bucket(Bucket=bucket)
    line = [program(release), "-endpoint", any_server.endpoint, "-bucket", bucket, "-dir", tree, *options]
    if any_server.ca:
        line += ["-ca", any_server.ca]
    told = harness.run(line, env=key_pair(any_server)).stdout
    assert told.count("stored ") == len(SIZES)
    assert [line.split()[1] for line in told.splitlines() if line.startswith("prefix ")] == [
        "velero/backups/", "velero/metadata/", "velero/restores/"]

    raw = s3raw.Client(any_server.address, any_server.host, any_server.access_key, any_server.secret_key, any_server.ca)
    deleted = [line.split()[1] for line in told.splitlines() if line.startswith("deleted ")]
    left = sorted(f"velero/{name}" for name in SIZES if f"velero/{name}" not in deleted)
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == left
    for key in left:
        answer = raw.get(f"/{bucket}/{key}")
        assert answer.status == 200 and "aws-chunked" not in (answer.get("content-encoding") or "")
        assert answer.body == (tree / key.removeprefix("velero/")).read_bytes(), f"{key} is not what was sent"
        assert int(answer.get("content-length")) == SIZES[key.removeprefix("velero/")]


@pytest.mark.timeout(700)
@pytest.mark.parametrize("release", ["miniogo-minio-7.0.67", "miniogo-minio-7.4"])
def test_kopias_client_gets_the_answers_it_relies_on(any_server, release):
    bucket = bucket_name()
    client_for(any_server).create_bucket(Bucket=bucket)
    line = [program(release), "-endpoint", any_server.host, "-bucket", bucket]
    if any_server.ca:
        line += ["-ca", any_server.ca]
    told = harness.run(line, env=key_pair(any_server)).stdout
    assert told.split() == "ok missing ok ranges ok empty ok badMD5 ok pack ok stream ok sweep".split()


def test_a_backup_location_with_any_region_is_served(server, s3, bucket):
    """kURL writes us-east-1, others what they like; a store that insists breaks them."""
    import boto3
    import botocore.config
    for region in ("us-east-1", "minio", "eu-central-1", "default"):
        client = boto3.client("s3", endpoint_url=server.endpoint, region_name=region, aws_access_key_id=server.access_key,
                              aws_secret_access_key=server.secret_key,
                              config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))
        client.put_object(Bucket=bucket, Key=region, Body=b"x")
        assert client.get_object(Bucket=bucket, Key=region)["Body"].read() == b"x"


def test_a_layout_check_sees_only_veleros_own_folders(s3, bucket):
    for name in ("backups/a/velero-backup.json", "restores/b/x", "kopia/default/p1", "metadata/revision", "plugins/x/y"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["backups/", "kopia/", "metadata/", "plugins/", "restores/"]
    assert "Contents" not in page
