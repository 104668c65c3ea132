"""Random S3 operations against a model in plain dictionaries, one after another and at once, with shrinking.

HOLDFAST_MODEL_EXAMPLES sets how many runs are tried; the default keeps CI short.
"""

import hashlib
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from conftest import client_for
from model import Model, Refused

EXAMPLES = int(os.environ.get("HOLDFAST_MODEL_EXAMPLES", "25"))
SMALLEST_PART = 5 << 20
SETTINGS = settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None, print_blob=True,
                    suppress_health_check=list(HealthCheck))

pytestmark = pytest.mark.timeout(180 + 30 * EXAMPLES)

KEYS = ["a", "a/", "a/b", "a/b/c", "a//b", "b", "b/1", "b/2", "é", "z" * 511 + "/1", "z" * 511 + "/2", "z" * 512]
BUCKETS = ["one", "two"]
SIZES = [0, 1, 100, 5000, 70_000]
serial = itertools.count(1)

buckets = st.sampled_from(BUCKETS)
keys = st.sampled_from(KEYS)
bodies = st.builds(lambda n, size: hashlib.shake_128(b"%d" % n).digest(size), st.integers(0, 50), st.sampled_from(SIZES))
tag_sets = st.dictionaries(st.sampled_from(["t", "u"]), st.sampled_from(["", "1", "x y"]), max_size=2)
prefixes = st.sampled_from(["", "a", "a/", "b/", "z", "none"])
delimiters = st.sampled_from(["", "/", "b"])
page_sizes = st.sampled_from([1, 2, 3, 5, 1000])


def outcome(call):
    """("ok", result) or ("refused", code); a HEAD's refusal is its status."""
    try:
        return "ok", call()
    except botocore.exceptions.ClientError as e:
        return "refused", e.response["Error"]["Code"]


def tagging(tags):
    return {"TagSet": [{"Key": k, "Value": v} for k, v in sorted(tags.items())]}


class Machine(RuleBasedStateMachine):
    server = None  # set by the test

    def __init__(self):
        super().__init__()
        self.s3 = client_for(self.server)
        self.model = Model()
        self.names = {b: f"m{os.getpid()}-{next(serial)}-{b}" for b in BUCKETS}
        self.marks = {}

    def agree(self, real, expect):
        """Compares a real outcome with expect(result), which applies it to the model and may raise Refused."""
        kind, value = real
        try:
            expect(value if kind == "ok" else {})
        except Refused as refusal:
            assert (value if kind == "refused" else "OK") in refusal.codes, f"server: {real}, model: {refusal.codes}"
            return None
        assert kind == "ok", f"server refused with {value}, model did not"
        return value

    def some_version(self, data, name, key):
        """None, or the id of a version that the key has or had."""
        known = [None] + sorted(self.marks.get((name, key), []))
        return data.draw(st.sampled_from(known), label="version")

    def remember(self, name, key, vid):
        if vid:
            self.marks.setdefault((name, key), set()).add(vid)

    # Buckets

    @initialize()
    def first_bucket(self):
        self.create_bucket("one")

    @rule(b=buckets)
    def create_bucket(self, b):
        real = outcome(lambda: self.s3.create_bucket(Bucket=self.names[b]))
        self.agree(real, lambda r: self.model.create_bucket(b))

    @rule(b=buckets)
    def delete_bucket(self, b):
        real = outcome(lambda: self.s3.delete_bucket(Bucket=self.names[b]))
        self.agree(real, lambda r: self.model.delete_bucket(b))
        if real[0] == "ok":
            self.model.buckets.pop(b, None)
            self.marks = {k: v for k, v in self.marks.items() if k[0] != b}

    @rule(b=buckets, status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, b, status):
        real = outcome(lambda: self.s3.put_bucket_versioning(Bucket=self.names[b], VersioningConfiguration={"Status": status}))
        self.agree(real, lambda r: self.model.set_versioning(b, status))

    # Objects

    @rule(b=buckets, key=keys, body=bodies, tags=tag_sets, how=st.sampled_from(["", "", "absent", "match", "differ"]))
    def put(self, b, key, body, tags, how):
        only_if, headers = None, {}
        there = self.model.current(b, key) if b in self.model.buckets else None
        if how == "absent":
            only_if, headers = "absent", {"IfNoneMatch": "*"}
        elif how:
            only_if = there.etag if there and how == "match" else "0" * 32
            headers = {"IfMatch": f'"{only_if}"'}
        if tags:
            headers["Tagging"] = "&".join(f"{k}={v.replace(' ', '+')}" for k, v in tags.items())
        real = outcome(lambda: self.s3.put_object(Bucket=self.names[b], Key=key, Body=body, **headers))
        told = self.agree(real, lambda r: self.model.put(b, key, body, r.get("VersionId"), only_if, tags))
        if told:
            assert told["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
            self.remember(b, key, told.get("VersionId"))

    @rule(b=buckets, key=keys, data=st.data())
    def get(self, b, key, data):
        vid = self.some_version(data, b, key)
        how = {"VersionId": vid} if vid else {}
        real = outcome(lambda: self.s3.get_object(Bucket=self.names[b], Key=key, **how))
        if told := self.agree(real, lambda r: self.model.get(b, key, vid)):
            expected = self.model.find(b, key, vid)
            assert told["Body"].read() == expected.body
            assert told["ETag"] == f'"{expected.etag}"' and told["ContentLength"] == len(expected.body)
            assert told.get("TagCount", 0) == len(expected.tags)
            assert told.get("VersionId", "null") == expected.vid or expected.vid == "null"

    @rule(b=buckets, key=keys, first=st.integers(0, 80_000), length=st.sampled_from([1, 10, 65536, 100_000]))
    def get_range(self, b, key, first, length):
        there = self.model.current(b, key) if b in self.model.buckets else None
        if not there:
            return
        real = outcome(lambda: self.s3.get_object(Bucket=self.names[b], Key=key, Range=f"bytes={first}-{first + length - 1}"))
        if first >= len(there.body):
            assert real == ("refused", "InvalidRange")
        else:
            assert real[0] == "ok" and real[1]["Body"].read() == there.body[first:first + length]

    @rule(b=buckets, key=keys)
    def head(self, b, key):
        kind, value = outcome(lambda: self.s3.head_object(Bucket=self.names[b], Key=key))
        there = self.model.current(b, key) if b in self.model.buckets else None
        assert (kind, value) == ("refused", "404") if not there else value["ETag"] == f'"{there.etag}"'

    @rule(b=buckets, key=keys, data=st.data())
    def delete(self, b, key, data):
        vid = self.some_version(data, b, key)
        how = {"VersionId": vid} if vid else {}
        real = outcome(lambda: self.s3.delete_object(Bucket=self.names[b], Key=key, **how))
        if told := self.agree(real, lambda r: self.model.delete(b, key, vid, r)):
            self.remember(b, key, told.get("VersionId"))

    @rule(b=buckets, some=st.lists(keys, min_size=1, max_size=6, unique=True))
    def delete_many(self, b, some):
        real = outcome(lambda: self.s3.delete_objects(Bucket=self.names[b], Delete={"Objects": [{"Key": k} for k in some]}))

        def expect(told):
            self.model.bucket(b)
            assert "Errors" not in told and sorted(d["Key"] for d in told["Deleted"]) == sorted(some)
            for row in told["Deleted"]:
                self.model.delete(b, row["Key"], None, {"DeleteMarker": row.get("DeleteMarker"),
                                                        "VersionId": row.get("DeleteMarkerVersionId")})
                self.remember(b, row["Key"], row.get("DeleteMarkerVersionId"))
        self.agree(real, expect)

    @rule(source=buckets, key=keys, into=buckets, tkey=keys, data=st.data())
    def copy(self, source, key, into, tkey, data):
        vid = self.some_version(data, source, key) if (source, key) != (into, tkey) else None
        where = {"Bucket": self.names[source], "Key": key, **({"VersionId": vid} if vid else {})}
        real = outcome(lambda: self.s3.copy_object(Bucket=self.names[into], Key=tkey, CopySource=where))
        if told := self.agree(real, lambda r: self.model.copy(source, key, vid, into, tkey, r.get("VersionId"))):
            copied = self.model.find(into, tkey)
            copied.etag = told["CopyObjectResult"]["ETag"].strip('"')
            self.remember(into, tkey, told.get("VersionId"))

    # Tags

    @rule(b=buckets, key=keys, tags=tag_sets, data=st.data())
    def set_tags(self, b, key, tags, data):
        vid = self.some_version(data, b, key)
        how = {"VersionId": vid} if vid else {}
        real = outcome(lambda: self.s3.put_object_tagging(Bucket=self.names[b], Key=key, Tagging=tagging(tags), **how))
        self.agree(real, lambda r: self.model.set_tags(b, key, vid, tags))

    @rule(b=buckets, key=keys, data=st.data())
    def get_tags(self, b, key, data):
        vid = self.some_version(data, b, key)
        how = {"VersionId": vid} if vid else {}
        real = outcome(lambda: self.s3.get_object_tagging(Bucket=self.names[b], Key=key, **how))
        if told := self.agree(real, lambda r: self.model.tagged(b, key, vid)):
            assert {t["Key"]: t["Value"] for t in told["TagSet"]} == self.model.find(b, key, vid).tags

    # Parts

    @rule(b=buckets, key=keys)
    def begin(self, b, key):
        real = outcome(lambda: self.s3.create_multipart_upload(Bucket=self.names[b], Key=key))
        self.agree(real, lambda r: self.model.bucket(b) and self.model.begin(b, key, r["UploadId"]))

    def uploads(self):
        return [(b, key, upload) for b in self.model.buckets for upload, (key, _) in self.model.buckets[b].uploads.items()]

    @precondition(lambda self: self.uploads())
    @rule(data=st.data(), number=st.integers(1, 4), body=bodies, large=st.integers(0, 9))
    def part(self, data, number, body, large):
        b, key, upload = data.draw(st.sampled_from(self.uploads()), label="upload")
        if large == 9:
            body = body + bytes(SMALLEST_PART)
        real = outcome(lambda: self.s3.upload_part(Bucket=self.names[b], Key=key, UploadId=upload, PartNumber=number, Body=body))
        self.agree(real, lambda r: self.model.part(b, key, upload, number, body))

    @precondition(lambda self: self.uploads())
    @rule(data=st.data(), drop=st.sets(st.integers(1, 4)), ghost=st.booleans())
    def complete(self, data, drop, ghost):
        b, key, upload = data.draw(st.sampled_from(self.uploads()), label="upload")
        parts = self.model.buckets[b].uploads[upload][1]
        numbers = sorted(set(parts) - drop) + ([9] if ghost and drop else [])
        listed = [{"PartNumber": n, "ETag": hashlib.md5(parts.get(n, b"")).hexdigest()} for n in numbers]
        real = outcome(lambda: self.s3.complete_multipart_upload(
            Bucket=self.names[b], Key=key, UploadId=upload, MultipartUpload={"Parts": listed}))
        if told := self.agree(real, lambda r: self.model.complete(b, key, upload, numbers, r.get("VersionId"), SMALLEST_PART)):
            assert told["ETag"] == f'"{self.model.find(b, key).etag}"'
            self.remember(b, key, told.get("VersionId"))

    @precondition(lambda self: self.uploads())
    @rule(data=st.data())
    def abort(self, data):
        b, key, upload = data.draw(st.sampled_from(self.uploads()), label="upload")
        real = outcome(lambda: self.s3.abort_multipart_upload(Bucket=self.names[b], Key=key, UploadId=upload))
        self.agree(real, lambda r: self.model.abort(b, key, upload))

    @precondition(lambda self: self.uploads())
    @rule(data=st.data())
    def list_parts(self, data):
        b, key, upload = data.draw(st.sampled_from(self.uploads()), label="upload")
        parts = self.model.buckets[b].uploads[upload][1]
        told = self.s3.list_parts(Bucket=self.names[b], Key=key, UploadId=upload)
        assert [(p["PartNumber"], p["Size"]) for p in told.get("Parts", [])] == [(n, len(parts[n])) for n in sorted(parts)]

    # Listings

    @rule(b=buckets, prefix=prefixes, delimiter=delimiters, size=page_sizes, v2=st.booleans())
    def list_objects(self, b, prefix, delimiter, size, v2):
        if b not in self.model.buckets:
            return
        seen, place = [], {}
        call = self.s3.list_objects_v2 if v2 else self.s3.list_objects
        while True:
            page = call(Bucket=self.names[b], Prefix=prefix, Delimiter=delimiter, MaxKeys=size, **place)
            entries = [("key", o["Key"]) for o in page.get("Contents", [])]
            entries += [("prefix", p["Prefix"]) for p in page.get("CommonPrefixes", [])]
            entries.sort(key=lambda e: e[1].encode())
            seen += entries
            if not page["IsTruncated"]:
                assert len(entries) <= size
                break
            assert len(entries) == size
            place = {"ContinuationToken": page["NextContinuationToken"]} if v2 else \
                {"Marker": page.get("NextMarker") or entries[-1][1]}
        assert seen == self.model.listing(b, prefix, delimiter)

    @rule(b=buckets, prefix=prefixes, size=page_sizes)
    def list_versions(self, b, prefix, size):
        if b not in self.model.buckets:
            return
        expected = self.model.version_listing(b, prefix)
        order = {row[:2]: i for i, row in enumerate(expected)}
        seen, place = [], {}
        while True:
            page = self.s3.list_object_versions(Bucket=self.names[b], Prefix=prefix, MaxKeys=size, **place)
            rows = [(v["Key"], v["VersionId"], False, v["IsLatest"]) for v in page.get("Versions", [])]
            rows += [(m["Key"], m["VersionId"], True, m["IsLatest"]) for m in page.get("DeleteMarkers", [])]
            seen += sorted(rows, key=lambda r: order.get(r[:2], -1))
            if not page["IsTruncated"]:
                break
            assert len(rows) == size
            place = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert seen == expected

    @rule(b=buckets)
    def list_uploads(self, b):
        if b in self.model.buckets:
            told = self.s3.list_multipart_uploads(Bucket=self.names[b])
            assert sorted((u["Key"].encode(), u["UploadId"]) for u in told.get("Uploads", [])) == \
                sorted((k.encode(), u) for k, u in self.model.upload_listing(b))

    # The server itself

    @precondition(lambda self: hasattr(self.server, "kill"))
    @rule(luck=st.integers(0, 30))
    def kill_the_server(self, luck):
        if luck == 30:
            self.server.kill()
            self.server.start()
            self.s3 = client_for(self.server)

    @invariant()
    def buckets_are_the_same(self):
        listed = [b["Name"] for b in self.s3.list_buckets()["Buckets"]]
        mine = sorted(self.names[b] for b in self.model.buckets)
        assert [n for n in listed if n in self.names.values()] == mine

    def teardown(self):
        for b, bucket in self.model.buckets.items():
            for key, versions in bucket.keys.items():
                for v in versions:
                    if not v.marker:
                        got = self.s3.get_object(Bucket=self.names[b], Key=key, VersionId=v.vid)
                        assert got["Body"].read() == v.body


def test_operations_one_after_another_do_what_the_model_does(server):
    Machine.server = server
    run_state_machine_as_test(Machine, settings=SETTINGS)


# At once: the answers must be those of some order of the operations that respects who ended before whom began.

FEW = ["a", "a/b", "c"]
numbers = st.integers(0, 3)
contents = [hashlib.shake_128(b"%d" % n).digest(size) for n, size in enumerate((10, 5000, 70_000, 0))]
etags = [hashlib.md5(body).hexdigest() for body in contents]

operations = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(FEW), numbers, st.sampled_from([None, None, "absent", 0, 1])),
    st.tuples(st.just("get"), st.sampled_from(FEW)),
    st.tuples(st.just("delete"), st.sampled_from(FEW)),
    st.tuples(st.just("copy"), st.sampled_from(FEW), st.sampled_from(FEW)),
    st.tuples(st.just("complete"), st.sampled_from(FEW), numbers),
    st.tuples(st.just("list")))


def perform(s3, bucket, op, upload):
    """Runs one operation; the result is in the model's terms: content numbers, refusal codes, names."""
    kind, args = op[0], op[1:]
    if kind == "put":
        key, n, only_if = args
        how = {} if only_if is None else {"IfNoneMatch": "*"} if only_if == "absent" else {"IfMatch": f'"{etags[only_if]}"'}
        told = outcome(lambda: s3.put_object(Bucket=bucket, Key=key, Body=contents[n], **how))
    elif kind == "get":
        told = outcome(lambda: s3.get_object(Bucket=bucket, Key=args[0])["Body"].read())
        if told[0] == "ok":
            return contents.index(told[1])
    elif kind == "delete":
        told = outcome(lambda: s3.delete_object(Bucket=bucket, Key=args[0]))
    elif kind == "copy":
        told = outcome(lambda: s3.copy_object(Bucket=bucket, Key=args[1], CopySource=f"{bucket}/{args[0]}"))
    elif kind == "complete":
        told = outcome(lambda: s3.complete_multipart_upload(
            Bucket=bucket, Key=args[0], UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etags[args[1]]}]}))
    else:
        return tuple(o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", []))
    return "done" if told[0] == "ok" else told[1]


def apply(state, op):
    """(result, new state) of op; state is a dict of key to (content number, whether made by parts), as a sorted tuple."""
    now, kind, args = dict(state), op[0], op[1:]
    if kind == "put":
        key, n, only_if = args
        there = now.get(key)
        if only_if == "absent" and there is not None:
            return "PreconditionFailed", state
        if only_if not in (None, "absent"):
            if there is None:
                return "NoSuchKey", state
            if there != (only_if, False):
                return "PreconditionFailed", state
        now[key] = (n, False)
        result = "done"
    elif kind == "get":
        return (now[args[0]][0] if args[0] in now else "NoSuchKey"), state
    elif kind == "delete":
        now.pop(args[0], None)
        result = "done"
    elif kind == "copy":
        if args[0] not in now:
            return "NoSuchKey", state
        if args[0] == args[1]:
            return "InvalidRequest", state
        now[args[1]] = now[args[0]]  # a copy shares the bytes and so keeps the ETag
        result = "done"
    elif kind == "complete":
        now[args[0]] = (args[1], True)
        result = "done"
    else:
        return tuple(sorted(now)), state
    return result, tuple(sorted(now.items()))


def explained(history):
    """Whether some order of history [(begin, end, op, result)], ends before begins kept, gives just these results."""
    dead = set()

    def search(left, state):
        if not left:
            return True
        if (left, state) in dead:
            return False
        first_end = min(history[i][1] for i in left)
        for i in left:
            begin, _, op, result = history[i]
            if begin <= first_end:
                expected, after = apply(state, op)
                if expected == result and search(left - {i}, after):
                    return True
        dead.add((left, state))
        return False

    return search(frozenset(range(len(history))), ())


def test_the_explanation_of_a_history_can_fail():
    put, get = ("put", "a", 1, None), ("get", "a")
    assert explained([(0, 1, put, "done"), (2, 3, get, 1)])
    assert explained([(0, 3, put, "done"), (1, 2, get, "NoSuchKey")])
    assert not explained([(0, 1, put, "done"), (2, 3, get, "NoSuchKey")])
    assert not explained([(0, 1, put, "done"), (2, 3, get, 0)])
    absent = ("put", "a", 1, "absent")
    assert not explained([(0, 3, absent, "done"), (1, 2, absent, "done")])


def test_operations_at_once_have_an_order_that_explains_them(server):
    s3 = client_for(server)
    with ThreadPoolExecutor(4) as pool:
        @settings(SETTINGS, max_examples=EXAMPLES * 2, phases=[Phase.generate])
        @given(st.lists(st.lists(operations, min_size=2, max_size=5), min_size=2, max_size=4))
        def run(plans):
            bucket = f"c{os.getpid()}-{next(serial)}"
            s3.create_bucket(Bucket=bucket)
            uploads = {}
            for t, plan in enumerate(plans):
                for i, op in enumerate(plan):
                    if op[0] == "complete":
                        upload = s3.create_multipart_upload(Bucket=bucket, Key=op[1])["UploadId"]
                        s3.upload_part(Bucket=bucket, Key=op[1], UploadId=upload, PartNumber=1, Body=contents[op[2]])
                        uploads[t, i] = upload

            def work(t):
                rows = []
                for i, op in enumerate(plans[t]):
                    begin = time.monotonic()
                    result = perform(s3, bucket, op, uploads.get((t, i)))
                    rows.append((begin, time.monotonic(), op, result))
                return rows

            history = sorted(row for rows in pool.map(work, range(len(plans))) for row in rows)
            for row in history:
                note(f"{row[0]:.6f} {row[1]:.6f} {row[2]} -> {row[3]}")
            assert explained(history), "no order of these operations gives these answers"

        run()


def test_versions_written_at_once_are_all_kept(server):
    s3 = client_for(server)
    bucket = f"v{os.getpid()}-{next(serial)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda i: (i, s3.put_object(Bucket=bucket, Key=FEW[i % 2], Body=b"%d" % i)["VersionId"]), range(120)))
    assert len({vid for _, vid in told}) == 120
    for i, vid in told:
        assert s3.get_object(Bucket=bucket, Key=FEW[i % 2], VersionId=vid)["Body"].read() == b"%d" % i
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert {v["VersionId"] for v in listed} == {vid for _, vid in told}
    assert sum(v["IsLatest"] for v in listed) == 2
    times = [v["LastModified"] for v in listed if v["Key"] == FEW[0]]
    assert times == sorted(times, reverse=True), "versions of a key are not newest first"
