"""awscli: s3 cp, sync, rm, and s3api calls with the JSON that they print."""

import base64
import hashlib
import json

import pytest

import harness
from conftest import bucket_name

ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]


# Without a configuration this release presigns by Signature Version 2 when the endpoint is not AWS's own.
CONFIG = "[default]\ns3 =\n    signature_version = s3v4\n    addressing_style = path\n"


class Aws:
    def __init__(self, server, scratch):
        self.server = server
        self.env = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
                    "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": str(scratch / "aws.config"),
                    "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}
        (scratch / "aws.config").write_text(CONFIG)
        if server.ca:
            self.env["AWS_CA_BUNDLE"] = server.ca

    def __call__(self, *args, **how):
        return harness.run(["aws", "--endpoint-url", self.server.endpoint, *args], env=self.env, **how)

    def api(self, operation, **options):
        """Calls s3api and returns its JSON; option names are the command's, None is a flag."""
        line = ["s3api", operation, "--output", "json"]
        for name, value in options.items():
            line.append("--" + name.replace("_", "-"))
            if value is not None:
                line.append(value if isinstance(value, str) else json.dumps(value))
        text = self(*line).stdout
        return json.loads(text) if text.strip() else {}


@pytest.fixture
def aws(any_server, tmp_path):
    return Aws(any_server, tmp_path)


@pytest.fixture
def one(server, tmp_path):
    return Aws(server, tmp_path)


def test_files_are_copied_synced_and_removed(aws, tmp_path):
    bucket = bucket_name()
    aws("s3", "mb", f"s3://{bucket}")
    source = tmp_path / "source"
    for i in range(30):
        harness.write_random(source / f"d{i % 3}" / f"f{i}", 5000 * i, 1)
    harness.write_random(source / "large", 20 << 20, 1)
    aws("s3", "cp", "--recursive", source, f"s3://{bucket}/tree")
    aws("s3", "sync", f"s3://{bucket}/tree", tmp_path / "back")
    assert harness.same_tree(source, tmp_path / "back") is None
    (source / "d0" / "f0").unlink()
    (source / "d1" / "f1").write_bytes(b"another length")
    told = aws("s3", "sync", "--delete", source, f"s3://{bucket}/tree").stdout
    assert told.count("upload:") == 1 and told.count("delete:") == 1
    listed = aws("s3", "ls", "--recursive", "--summarize", f"s3://{bucket}").stdout
    assert "Total Objects: 30" in listed
    aws("s3", "cp", f"s3://{bucket}/tree/large", f"s3://{bucket}/copied")
    aws("s3", "mv", f"s3://{bucket}/copied", tmp_path / "large")
    assert (tmp_path / "large").read_bytes() == (source / "large").read_bytes()
    aws("s3", "rm", "--recursive", f"s3://{bucket}/tree")
    aws("s3", "rb", f"s3://{bucket}")


def test_a_stream_of_unknown_length_goes_up_and_down(one, tmp_path):
    bucket = bucket_name()
    one("s3", "mb", f"s3://{bucket}")
    text = "line of a stream\n" * 900_000
    one("s3", "cp", "-", f"s3://{bucket}/stream", stdin=text)
    assert one("s3", "cp", f"s3://{bucket}/stream", "-").stdout == text


@pytest.mark.parametrize("transport,algorithm", [*(("server", a) for a in ALGORITHMS), ("tls_server", "CRC64NVME"),
                                                 ("tls_server", "SHA256")])
def test_every_checksum_algorithm_of_a_copy(request, tmp_path, transport, algorithm):
    aws = Aws(request.getfixturevalue(transport), tmp_path)
    bucket = bucket_name()
    aws("s3", "mb", f"s3://{bucket}")
    for name, size in (("small", 10_000), ("large", 17 << 20)):
        harness.write_random(tmp_path / name, size, 5)
        aws("s3", "cp", "--checksum-algorithm", algorithm, tmp_path / name, f"s3://{bucket}/{name}")
        aws("s3", "cp", "--checksum-mode", "ENABLED", f"s3://{bucket}/{name}", tmp_path / f"{name}.back")
        assert (tmp_path / f"{name}.back").read_bytes() == (tmp_path / name).read_bytes()
    head = aws.api("head-object", bucket=bucket, key="small", checksum_mode="ENABLED")
    assert head[f"Checksum{algorithm}"]


def test_the_life_of_a_bucket_in_json(one):
    bucket = bucket_name()
    assert one.api("create-bucket", bucket=bucket)["Location"] == f"/{bucket}"
    names = [b["Name"] for b in one.api("list-buckets")["Buckets"]]
    assert bucket in names
    one.api("head-bucket", bucket=bucket)
    assert one.api("get-bucket-location", bucket=bucket) == {"LocationConstraint": None}
    assert one.api("get-bucket-versioning", bucket=bucket) == {}
    one.api("put-bucket-versioning", bucket=bucket, versioning_configuration="Status=Enabled")
    assert one.api("get-bucket-versioning", bucket=bucket) == {"Status": "Enabled"}
    one.api("put-bucket-tagging", bucket=bucket, tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert one.api("get-bucket-tagging", bucket=bucket) == {"TagSet": [{"Key": "a", "Value": "b"}]}
    one.api("delete-bucket-tagging", bucket=bucket)
    one.api("delete-bucket", bucket=bucket)
    gone = one("s3api", "head-bucket", "--bucket", bucket, check=False)
    assert gone.returncode != 0 and "404" in gone.stderr


def test_objects_in_json(one, tmp_path):
    bucket = bucket_name()
    one.api("create-bucket", bucket=bucket)
    (tmp_path / "body").write_bytes(b"hello")
    etag = f'"{hashlib.md5(b"hello").hexdigest()}"'
    put = one.api("put-object", bucket=bucket, key="a/k", body=str(tmp_path / "body"), metadata="m=1", tagging="t=1",
                  content_type="text/a")
    assert put["ETag"] == etag
    head = one.api("head-object", bucket=bucket, key="a/k")
    assert (head["ContentLength"], head["ETag"], head["ContentType"], head["Metadata"]) == (5, etag, "text/a", {"m": "1"})
    line = ["s3api", "get-object", "--bucket", bucket, "--key", "a/k", "--range", "bytes=1-3", str(tmp_path / "out")]
    got = json.loads(one(*line).stdout)
    assert got["ContentRange"] == "bytes 1-3/5" and (tmp_path / "out").read_bytes() == b"ell"
    attributes = one.api("get-object-attributes", bucket=bucket, key="a/k", object_attributes=["ETag", "ObjectSize"])
    assert attributes["ObjectSize"] == 5 and attributes["ETag"] == etag.strip('"')
    copied = one.api("copy-object", bucket=bucket, key="b", copy_source=f"{bucket}/a/k")
    assert copied["CopyObjectResult"]["ETag"] == etag
    assert one.api("get-object-tagging", bucket=bucket, key="b") == {"TagSet": [{"Key": "t", "Value": "1"}]}
    one.api("put-object-tagging", bucket=bucket, key="b", tagging={"TagSet": []})
    assert one.api("get-object-tagging", bucket=bucket, key="b") == {"TagSet": []}
    one.api("delete-object-tagging", bucket=bucket, key="b")
    assert one.api("get-object-acl", bucket=bucket, key="b")["Grants"][0]["Permission"] == "FULL_CONTROL"

    v2 = one.api("list-objects-v2", bucket=bucket, delimiter="/")
    assert [o["Key"] for o in v2["Contents"]] == ["b"] and v2["CommonPrefixes"] == [{"Prefix": "a/"}]
    assert v2["Contents"][0]["Size"] == 5 and v2["Contents"][0]["StorageClass"] == "STANDARD"
    v1 = one.api("list-objects", bucket=bucket)
    assert [(o["Key"], o["Size"], o["ETag"]) for o in v1["Contents"]] == [("a/k", 5, etag), ("b", 5, etag)]
    deleted = one.api("delete-objects", bucket=bucket, delete={"Objects": [{"Key": "a/k"}, {"Key": "none"}]})
    assert sorted(d["Key"] for d in deleted["Deleted"]) == ["a/k", "none"]
    one.api("delete-object", bucket=bucket, key="b")
    one.api("delete-bucket", bucket=bucket)


def test_an_upload_in_parts_in_json(one, tmp_path):
    bucket = bucket_name()
    one.api("create-bucket", bucket=bucket)
    harness.write_random(tmp_path / "part", 5 << 20, 1)
    made = one.api("create-multipart-upload", bucket=bucket, key="m")
    where = {"bucket": bucket, "key": "m", "upload_id": made["UploadId"]}
    first = one.api("upload-part", **where, part_number="1", body=str(tmp_path / "part"))
    (tmp_path / "source").write_bytes(b"copied tail")
    one.api("put-object", bucket=bucket, key="source", body=str(tmp_path / "source"))
    second = one.api("upload-part-copy", **where, part_number="2", copy_source=f"{bucket}/source")
    listed = one.api("list-parts", **where)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(1, 5 << 20), (2, 11)]
    uploads = one.api("list-multipart-uploads", bucket=bucket)["Uploads"]
    assert [(u["Key"], u["UploadId"]) for u in uploads] == [("m", made["UploadId"])]
    done = one.api("complete-multipart-upload", **where, multipart_upload={"Parts": [
        {"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"]}]})
    assert done["ETag"].endswith('-2"') and done["Bucket"] == bucket and done["Key"] == "m"
    assert one.api("head-object", bucket=bucket, key="m", part_number="2")["PartsCount"] == 2
    other = one.api("create-multipart-upload", bucket=bucket, key="x")
    one.api("abort-multipart-upload", bucket=bucket, key="x", upload_id=other["UploadId"])
    assert "Uploads" not in one.api("list-multipart-uploads", bucket=bucket)


def test_versions_in_json(one, tmp_path):
    bucket = bucket_name()
    one.api("create-bucket", bucket=bucket)
    one.api("put-bucket-versioning", bucket=bucket, versioning_configuration="Status=Enabled")
    (tmp_path / "b").write_bytes(b"1")
    ids = [one.api("put-object", bucket=bucket, key="k", body=str(tmp_path / "b"))["VersionId"] for _ in range(2)]
    marker = one.api("delete-object", bucket=bucket, key="k")
    assert marker["DeleteMarker"] is True
    listed = one.api("list-object-versions", bucket=bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == ids[::-1]
    assert [m["VersionId"] for m in listed["DeleteMarkers"]] == [marker["VersionId"]]
    one.api("delete-object", bucket=bucket, key="k", version_id=marker["VersionId"])
    assert one.api("head-object", bucket=bucket, key="k")["VersionId"] == ids[1]


def test_conditional_writes(one, tmp_path):
    bucket = bucket_name()
    one.api("create-bucket", bucket=bucket)
    (tmp_path / "b").write_bytes(b"1")
    put = {"bucket": bucket, "key": "k", "body": str(tmp_path / "b")}
    etag = one.api("put-object", **put, if_none_match="*")["ETag"]
    refused = one("s3api", "put-object", "--bucket", bucket, "--key", "k", "--if-none-match", "*", check=False)
    assert refused.returncode != 0 and "PreconditionFailed" in refused.stderr
    one.api("put-object", **put, if_match=etag)
    one.api("delete-object", bucket=bucket, key="k", if_match=etag)


def test_a_presigned_url_works_in_curl_until_it_is_changed(aws, tmp_path):
    bucket = bucket_name()
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "cp", "-", f"s3://{bucket}/log file+1.gz", stdin="presigned")
    url = aws("s3", "presign", "--expires-in", "60", f"s3://{bucket}/log file+1.gz").stdout.strip()
    curl = ["curl", "-sS", "-w", "\n%{http_code}", *(["--cacert", aws.server.ca] if aws.server.ca else [])]
    assert harness.run([*curl, url]).stdout == "presigned\n200"
    assert harness.run([*curl, "-r", "3-5", url]).stdout == "sig\n206"
    changed = harness.run([*curl, url.replace("file", "fila")]).stdout
    assert "SignatureDoesNotMatch" in changed and changed.endswith("403")


def test_what_a_bucket_does_not_have(one):
    bucket = bucket_name()
    one.api("create-bucket", bucket=bucket)
    for operation, code in (("get-bucket-policy", "NoSuchBucketPolicy"), ("get-bucket-cors", "NoSuchCORSConfiguration"),
                            ("get-bucket-lifecycle-configuration", "NoSuchLifecycleConfiguration"),
                            ("get-bucket-encryption", "ServerSideEncryptionConfigurationNotFoundError")):
        done = one("s3api", operation, "--bucket", bucket, check=False)
        assert done.returncode != 0 and code in done.stderr, done.stderr
    assert one.api("get-bucket-acl", bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"


def test_content_md5_of_a_put(one, tmp_path):
    bucket = bucket_name()
    one.api("create-bucket", bucket=bucket)
    (tmp_path / "b").write_bytes(b"hello")
    right = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    one.api("put-object", bucket=bucket, key="k", body=str(tmp_path / "b"), content_md5=right)
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    done = one("s3api", "put-object", "--bucket", bucket, "--key", "bad", "--body", tmp_path / "b", "--content-md5", wrong,
               check=False)
    assert done.returncode != 0 and "BadDigest" in done.stderr
