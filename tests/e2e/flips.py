"""What a test of flipped bits needs: a store, what of its index is live, and what a server must answer from it."""

import random
import struct

import botocore.exceptions

from conftest import client_for

PAGE = 4096
BRANCH = 1


def live(index):
    """Which bytes of data.mdb say something: [(first, last + 1, what)], by LMDB's format. Not those of inline contents."""
    u16 = lambda at: struct.unpack_from("<H", index, at)[0]
    u32 = lambda at: struct.unpack_from("<I", index, at)[0]
    u64 = lambda at: struct.unpack_from("<Q", index, at)[0]
    found = []

    def walk(page, name, visit=lambda key, at, length: None):
        base = page * PAGE
        lower, upper = u16(base + 12), u16(base + 14)
        kind = u16(base + 10)
        found.append((base, base + 8, f"{name}: head"))
        found.append((base + 10, base + lower, f"{name}: head"))
        for i in range((lower - 16) // 2):
            at = base + u16(base + 16 + 2 * i)
            key_end = at + 8 + u16(at + 6)
            if kind == BRANCH:
                found.append((at, at + 8 if i == 0 else key_end, f"{name}: branch"))
                walk(u32(at) | u16(at + 4) << 32, name, visit)
                continue
            length = u32(at)
            if u16(at + 4) & 1:
                found.append((at, key_end + 8, f"{name}: leaf"))
                over = u64(key_end)
                found.append((over * PAGE, over * PAGE + 8, f"{name}: overflow"))
                found.append((over * PAGE + 10, over * PAGE + 12, f"{name}: overflow"))
                value = over * PAGE + 16
            else:
                found.append((at, key_end, f"{name}: leaf"))
                value = key_end
            end = value + length
            if name == "extents" and index[value + 2] == 1:
                found.append((value, value + 26, f"{name}: value"))
                value = end - 4
            found.append((value, end, f"{name}: value"))
            visit(bytes(index[at + 8:key_end]), value, length)

    meta = max((0, 1), key=lambda n: u64(n * PAGE + 144))
    roots = []
    for database in (0, 1):
        root = u64(meta * PAGE + 40 + 48 * database + 40)
        if root != 2**64 - 1:
            walk(root, ("free", "main")[database],
                 lambda key, at, length: database == 1 and roots.append((key.decode(), u64(at + 40))))
    for name, root in roots:
        if root != 2**64 - 1:
            walk(root, name)
    return found


def fill(server):
    """A store with something in each of its databases that a client can fill."""
    s3 = client_for(server)
    source = random.Random(7)
    for bucket in ("plain", "versions"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for i in range(260):
        size = source.choice([0, 1, 10, 50, 50, 50, 100, 700, 3000, 9000, 20_000])
        s3.put_object(Bucket="plain", Key=f"dir{i % 9}/key-{i}" + "/long" * (i % 7 == 0) * 130, Body=source.randbytes(size),
                      Metadata={"n": str(i)}, ContentType="text/x-test", Tagging=f"n={i}")
    for i in range(60):
        s3.put_object(Bucket="versions", Key=f"v{i % 20}", Body=source.randbytes(40), Metadata={"n": str(i)})
    s3.delete_object(Bucket="versions", Key="v3")
    upload = s3.create_multipart_upload(Bucket="plain", Key="multi")["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="plain", Key="multi", UploadId=upload, PartNumber=n,
                                                      Body=source.randbytes(size))["ETag"]}
             for n, size in enumerate((5 << 20, 1000), 1)]
    s3.complete_multipart_upload(Bucket="plain", Key="multi", UploadId=upload, MultipartUpload={"Parts": parts})
    upload = s3.create_multipart_upload(Bucket="plain", Key="open")["UploadId"]
    for n in range(1, 4):
        s3.upload_part(Bucket="plain", Key="open", UploadId=upload, PartNumber=n, Body=source.randbytes(3000))
    for i in range(100):
        s3.delete_object(Bucket="plain", Key=f"dir{i % 9}/key-{i}")


def ask(call, *fields, **words):
    """An answer's fields, or a string for a failure: "failed", or the code of a refusal that claims to know better."""
    try:
        answer = call(**words)
        if "Body" in answer:
            answer["Body"] = answer["Body"].read()
        return {f: answer.get(f) for f in fields}
    except botocore.exceptions.ClientError as e:
        status = e.response["ResponseMetadata"]["HTTPStatusCode"]
        return "failed" if status >= 500 else e.response["Error"]["Code"]
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.EndpointConnectionError, botocore.exceptions.ResponseStreamingError,
            botocore.exceptions.IncompleteReadError):
        return "failed"


class Truth:
    """What a sound server answers; a later one may answer the same, or fail."""

    def __init__(self, s3):
        self.questions = []
        add = lambda *q, **w: self.questions.append((q, w))
        keys = [o["Key"] for o in s3.list_objects_v2(Bucket="plain")["Contents"]]
        source = random.Random(3)
        for key in source.sample(keys, 25) + ["multi"]:
            add("get_object", "Body", "ETag", "ContentLength", "Metadata", "ContentType", "LastModified", "TagCount",
                Bucket="plain", Key=key)
        for key in source.sample(keys, 15):
            add("head_object", "ETag", "ContentLength", "Metadata", Bucket="plain", Key=key)
            add("get_object_tagging", "TagSet", Bucket="plain", Key=key)
        for key in ("dir0/none", "zzz", "v", "dir4/key-4"):
            add("head_object", "ETag", Bucket="plain", Key=key)
        for key in ("v1", "v3", "v19"):
            add("get_object", "Body", "ETag", "VersionId", Bucket="versions", Key=key)
        add("list_objects_v2", "Contents", "CommonPrefixes", Bucket="plain")
        add("list_objects_v2", "Contents", "CommonPrefixes", Bucket="plain", Delimiter="/")
        add("list_objects_v2", "Contents", "CommonPrefixes", Bucket="plain", Prefix="dir5/", StartAfter="dir5/key-2")
        add("list_object_versions", "Versions", "DeleteMarkers", Bucket="versions")
        add("list_multipart_uploads", "Uploads", Bucket="plain")
        upload = s3.list_multipart_uploads(Bucket="plain")["Uploads"][0]["UploadId"]
        add("list_parts", "Parts", Bucket="plain", Key="open", UploadId=upload)
        add("list_buckets", "Buckets")
        add("get_bucket_versioning", "Status", Bucket="versions")
        self.answers = [self.ask(s3, q) for q in self.questions]
        assert "failed" not in self.answers

    @staticmethod
    def ask(s3, question):
        (call, *fields), words = question
        return ask(getattr(s3, call), *fields, **words)

    def wrong(self, s3):
        """The questions that are answered wrongly, and how many failed."""
        wrong, failed = [], 0
        for question, truth in zip(self.questions, self.answers):
            answer = self.ask(s3, question)
            if answer == "failed":
                failed += 1
            elif answer != truth:
                wrong.append((question, answer if isinstance(answer, str) else "other"))
        return wrong, failed
