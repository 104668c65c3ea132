"""The admin port and the logs: what a monitor sees is true, well formed, and tells no secrets."""

import json
import re
import urllib.error
import urllib.request

import pytest

import s3raw
from conftest import client_for

SAMPLE = re.compile(r'^([a-z_:][a-z0-9_:]*)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|\+Inf|NaN)$')


def samples(text):
    """{name with labels: value}; fails on what a Prometheus would refuse or misread."""
    found, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, f"{name} is declared twice"
            kinds[name] = kind
        elif not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, line
            base = re.sub("_(bucket|sum|count)$", "", match[1])
            kind = kinds.get(match[1]) or kinds.get(base)
            assert kind, f"{match[1]} has no type"
            assert (kind == "counter") == match[1].endswith("_total"), f"{match[1]} is a {kind}"
            assert match[1] + (match[2] or "") not in found, f"{line} came twice"
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


@pytest.fixture
def own(new_server):
    return new_server().start()


def test_metrics_are_well_formed_before_and_after_requests(own):
    samples(own.metrics())
    s3 = client_for(own)
    s3.create_bucket(Bucket="strange-but-valid.name")
    with s3raw.Connection(own.address) as c:
        c.send(b"GET /%22\\%0a HTTP/1.1\r\nHost: x\r\n\r\n")
        c.read()
    after = samples(own.metrics())
    assert after["holdfast_buckets"] == 1


def test_usage_follows_what_is_stored(own):
    s3 = client_for(own)
    s3.create_bucket(Bucket="used")

    def usage():
        now = samples(own.metrics())
        return tuple(int(now[f"holdfast_{n}"]) for n in ("objects", "object_bytes", "noncurrent_versions",
                                                         "noncurrent_version_bytes", "uploads", "upload_bytes"))

    assert usage() == (0, 0, 0, 0, 0, 0)
    for key, size in (("a", 10), ("b", 300_000), ("c", 0)):
        s3.put_object(Bucket="used", Key=key, Body=b"x" * size)
    assert usage() == (3, 300_010, 0, 0, 0, 0)
    s3.put_object(Bucket="used", Key="b", Body=b"y" * 5)
    assert usage() == (3, 15, 0, 0, 0, 0)
    s3.copy_object(Bucket="used", Key="d", CopySource="used/a")
    s3.delete_object(Bucket="used", Key="b")
    assert usage() == (3, 20, 0, 0, 0, 0)
    upload = s3.create_multipart_upload(Bucket="used", Key="m")["UploadId"]
    part = s3.upload_part(Bucket="used", Key="m", UploadId=upload, PartNumber=1, Body=b"z" * 100)
    assert usage() == (3, 20, 0, 0, 1, 100)
    s3.complete_multipart_upload(Bucket="used", Key="m", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert usage() == (4, 120, 0, 0, 0, 0)
    s3.put_bucket_versioning(Bucket="used", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="used", Key="m", Body=b"new")
    s3.delete_object(Bucket="used", Key="a")
    assert usage()[:4] == (3, 13, 3, 110)  # the marker counts as a version
    before = usage()
    own.kill()
    own.start()
    assert usage() == before


def test_liveness_and_readiness_and_nothing_else(own):
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/", 404), ("/nope", 404)):
        try:
            with urllib.request.urlopen(own.admin + path, timeout=10) as answer:
                assert answer.status == status, path
        except urllib.error.HTTPError as e:
            assert e.code == status, path
    with s3raw.Connection(("127.0.0.1", own.admin_port.number)) as c:
        c.send(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.read().status in (404, 405)


def test_the_access_log_has_a_line_for_each_request_and_no_secret(new_server):
    server = new_server(args=["--access-log", "-"]).start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="logged")
    s3.put_object(Bucket="logged", Key="a \"quoted\"\nkey", Body=b"12345")
    s3.get_object(Bucket="logged", Key="a \"quoted\"\nkey")["Body"].read()
    url = s3.generate_presigned_url("get_object", {"Bucket": "logged", "Key": "none"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url, timeout=10)
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    text = server.log()
    assert [json.dumps(line) for line in lines if "logged" in json.dumps(line)], "requests are not in the log"
    statuses = [line["status"] for line in lines if "status" in line]
    assert statuses.count(200) >= 3 and statuses.count(404) == 1, lines
    for secret in (server.secret_key, "Signature=", url.rpartition("Signature=")[2]):
        assert secret not in text
