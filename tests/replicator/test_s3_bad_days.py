"""The S3 protocol of destinations against a strict server that has bad days."""

import hashlib
import time

import pytest

import s3_chaos
from desttool import open_fails, pattern
from s3_chaos import Rule, S3Chaos
from serving import Answer


@pytest.fixture
def s3():
    with S3Chaos() as fake:
        yield fake


@pytest.fixture
def open_s3(tool):
    def make(fake, **more):
        fields = {"provider": "s3", "endpoint": fake.url, "region": "us-east-1", "bucket": fake.bucket, "path": "p",
                  "access_key_id": fake.ACCESS_KEY, "secret_access_key": fake.SECRET_KEY}
        fields.update(more)
        return tool(**fields)

    return make


@pytest.fixture
def t(s3, open_s3):
    return open_s3(s3)


def rows(answer):
    return {r["step"]: r for r in answer["rows"]}


# A plain client

def test_a_strict_server_takes_all_that_is_sent(s3, t):
    t.ok("put", "a b+%25\u00e9/c~'!*()", "@100", "attr:x-amz-meta-a=b c", "attr:content-type=text/plain", "tag:k=v")
    t.ok("put", "big", "@3000000")
    t.ok("multipart", "parts", "@11000000", "part-bytes=5242880")
    t.ok("stat", "big")
    t.ok("list", "", "big")
    t.ok("retag", "a b+%25\u00e9/c~'!*()", "@100", "tag:k=<w>&")
    assert s3.objects["p/a b+%25\u00e9/c~'!*()".encode()]["tags"] == [("k", "&lt;w&gt;&amp;")]
    assert s3.objects[b"p/parts"]["body"] == pattern(11000000)
    t.ok("remove", "big")
    t.ok("probe")


def test_nothing_is_touched_outside_the_path(s3, t):
    s3.objects[b"other/x"] = {"body": b"", "etag": "0", "headers": {}, "tags": [], "class": "STANDARD", "modified": s3.now()}
    t.ok("put", "a", "@1")
    t.ok("probe")
    t.ok("remove", "a")
    assert list(s3.objects) == [b"other/x"]
    for request in s3.requests:
        assert request.path.startswith("/bucket/p/") or request.path == "/bucket", request.target
        if request.path == "/bucket" and request.method == "GET" and "list-type" in request.query:
            assert "prefix=p%2F" in request.query


def test_keys_that_could_leave_the_path_are_the_objects_own_matter(t):
    for key in ("../x", "a/../b", "a/./b", "a//b", "/a", "..", "x" * 1023):
        assert t("check", key)["kind"] == "object", key
    for key in ("a/..b", "a/b/", "...", "x" * 1022):
        t.ok("check", key)


# Region, clock, credentials

@pytest.mark.parametrize("how", ["scope", "301"])
def test_the_region_is_learnt(open_s3, how):
    with S3Chaos(region="eu-west-1") as fake:
        fake.redirect = how
        t = open_s3(fake)
        t.ok("put", "a", "@5")
        before = len(fake.requests)
        t.ok("put", "b", "@5")
        assert len(fake.requests) == before + 1 or "eu-west-1" in fake.requests[-1].header("authorization")
        row = rows(open_s3(fake).ok("probe"))["bucket"]
        assert row["result"] == "warning"
        assert "eu-west-1, not in us-east-1" in row["text"]


def test_a_clock_that_is_off_is_corrected(s3, t):
    for offset in (7200, -86400):
        s3.clock_offset = offset
        t.ok("put", "a", "@5")
    s3.clock_offset = 7200
    authenticated = rows(t.ok("probe"))["authenticate"]
    assert "+7200 s" in authenticated["text"] or "+7199 s" in authenticated["text"]


@pytest.mark.parametrize("fields,code,words", [
    ({"secret_access_key": "wrong"}, "SignatureDoesNotMatch", "enter it again"),
    ({"access_key_id": "AKIAUNKNOWN"}, "InvalidAccessKeyId", "mistyped, deleted or disabled"),
    ({"session_token": "stray"}, "InvalidToken", "get new credentials"),
])
def test_a_refused_key_waits_for_a_person(s3, open_s3, fields, code, words):
    t = open_s3(s3, **fields)
    answer = t("put", "a", "@5")
    assert (answer["kind"], answer["code"]) == ("person", code)
    assert words in answer["text"]
    probed = t("probe")
    assert probed["rows"][-1]["step"] == "authenticate"
    assert probed["rows"][-1]["result"] == "failed"
    assert "wJalr" not in str(probed)


@pytest.mark.parametrize("permission,step", [
    ("s3:ListBucket", "list"), ("s3:PutObject", "put"), ("s3:GetObject", "get range"),
    ("s3:AbortMultipartUpload", "multipart"), ("s3:DeleteObject", "delete")])
def test_the_probe_names_each_missing_permission(s3, t, permission, step):
    s3.denied.add(permission)
    answer = t("probe")
    row = rows(answer)[step]
    assert (answer["ok"], row["result"], row["code"], row["request_id"]) == (False, "failed", "AccessDenied", "FAKE1234")
    assert permission in row["text"]
    if permission != "s3:DeleteObject":
        assert not s3.objects


@pytest.mark.parametrize("code,status,kind", [
    ("AccessDenied", 403, "person"), ("NoSuchBucket", 404, "person"), ("AllAccessDisabled", 403, "person"),
    ("SlowDown", 503, "retry"), ("InternalError", 500, "retry"), ("RequestTimeout", 400, "retry"),
    ("OperationAborted", 409, "retry"), ("ConditionalRequestConflict", 409, "retry"), ("BadDigest", 400, "retry"),
    ("KeyTooLongError", 400, "object"), ("EntityTooLarge", 400, "object"), ("MethodNotAllowed", 405, "object"),
    ("InvalidArgument", 400, "object"), ("SomethingNew", 503, "retry"), ("TooManyRequests", 429, "retry"),
    ("QuotaExceeded", 403, "person"), ("InvalidStorageClass", 400, "person"), ("KMS.DisabledException", 400, "person"),
    ("KMS.ThrottlingException", 400, "retry"), ("InvalidPart", 400, "missing"), ("GatewayTimeout", 504, "retry")])
def test_refusals_are_sorted_by_name(s3, t, code, status, kind):
    s3.rules.append(Rule(lambda server, request, serve: server.error(status, code, "because"), times=9))
    answer = t("put", "a", "@5")
    assert (answer["kind"], answer["code"], answer["status"]) == (kind, code, status)
    assert answer["text"] and "%" not in answer["text"]
    assert answer["slow_down"] == (status in (429, 503) or "Throttling" in code)
    assert answer["fate_unknown"] == (status in (500, 504))


def test_a_body_that_is_no_s3_error_is_sorted_by_status(s3, t):
    for status, kind in ((502, "retry"), (403, "person"), (429, "retry"), (418, "object"), (302, "person")):
        s3.rules.append(Rule(lambda server, request, serve: Answer(status, "<html>no</html>"), times=1))
        assert t("put", "a", "@5")["kind"] == kind


def test_retention_is_the_objects_own_matter(s3, t):
    s3.rules.append(Rule(lambda server, request, serve: server.error(
        403, "AccessDenied", "Access Denied because object protected by object lock."), method="DELETE"))
    answer = t("remove", "a")
    assert answer["kind"] == "object"
    assert "retention" in answer["text"]


def test_an_archived_object_says_so(s3, t):
    t.ok("put", "a", "@5")
    s3.objects[b"p/a"]["class"] = "GLACIER"
    answer = t("get", "a", 0, 5, "/dev/null")
    assert (answer["kind"], answer["archived"]) == ("object", True)
    assert t.ok("stat", "a")["archived"]
    assert t.ok("list", "")["entries"][0]["archived"]


# Storms and broken connections

def test_slow_down_says_how_long(s3, t):
    s3.rules.append(Rule(s3_chaos.slow_down, times=3))
    for _ in range(3):
        answer = t("put", "a", "@5")
        assert (answer["kind"], answer["slow_down"], answer["retry_after_ms"]) == ("retry", True, 2000)
        assert not answer["fate_unknown"]
    t.ok("put", "a", "@5")


def test_a_lost_answer_leaves_the_fate_unknown(s3, t):
    t.ok("put", "warm", "@5")  # a kept connection, which libcurl would use again
    for command in (("put", "a", "@5"), ("put", "big", "@3000000"), ("remove", "a")):
        s3.rules.append(Rule(s3_chaos.cut_after, method="DELETE" if command[0] == "remove" else "PUT"))
        before = len(s3.requests)
        answer = t(*command)
        assert (answer["kind"], answer["fate_unknown"]) == ("retry", True), command
        assert len(s3.requests) == before + 1, "it was sent again without asking"
    assert b"p/big" in s3.objects and b"p/a" not in s3.objects


def test_a_body_that_did_not_go_out_changed_nothing(s3, t):
    t.ok("put", "a", "@1000")
    s3.rules.append(Rule(s3_chaos.truncated, method="GET", key="/a"))
    answer = t("get", "a", 0, 1000, "/dev/null")
    assert (answer["kind"], answer["fate_unknown"]) == ("retry", False)
    assert t.bytes("a", 0, 1000) == pattern(1000)


def test_a_finish_whose_answer_was_lost_is_found_done(s3, t):
    begun = t.ok("begin", "a", "@100", "version=3")
    part = t.ok("part", "a", "@100", begun["state"], begun["part_bytes"], 1)
    finish = ("finish", "a", "@100", begun["state"], begun["part_bytes"], f"1={part['etag']}", "version=3")
    s3.rules.append(Rule(s3_chaos.cut_after, method="POST"))
    assert t(*finish)["fate_unknown"]
    t.ok(*finish)


def test_a_finish_of_another_version_is_not_taken_for_this_one(s3, t):
    begun = t.ok("begin", "a", "@100", "version=4")
    part = t.ok("part", "a", "@100", begun["state"], begun["part_bytes"], 1)
    t.ok("abort", "a", begun["state"])
    t.ok("put", "a", "@100", "version=3")
    answer = t("finish", "a", "@100", begun["state"], begun["part_bytes"], f"1={part['etag']}", "version=4")
    assert answer["kind"] == "missing"


def test_an_error_under_a_status_of_success_is_seen(s3, t):
    s3.finish = "200-error"
    answer = t("multipart", "a", "@100")
    assert (answer["kind"], answer["code"]) == ("retry", "InternalError")
    assert not s3.objects and not s3.uploads


def test_a_listing_that_is_cut_off_fails(s3, t):
    for i in range(20):
        t.ok("put", f"k{i:02}", "@1")
    s3.rules.append(Rule(s3_chaos.truncated, method="GET"))
    assert t("list", "")["kind"] == "retry"
    assert len(t.keys()) == 20


def test_an_answer_that_does_not_come_is_waited_for_only_so_long(s3, t):
    s3.rules.append(Rule(s3_chaos.late(1.5), method="PUT"))
    began = time.monotonic()
    t.ok("put", "a", "@5")
    assert time.monotonic() - began > 1.4


# Do the bytes arrive?

def test_damage_on_the_way_is_found(s3, t):
    t.ok("put", "first", "@5")
    s3.rules.append(Rule(s3_chaos.damages, method="PUT"))
    answer = t("put", "a", "@5")
    assert answer["kind"] == "retry"
    assert "other bytes" in answer["text"]
    t.ok("put", "a", "@5")


def test_damage_of_the_very_first_object_is_found(s3, t):
    s3.rules.append(Rule(s3_chaos.damages, method="PUT"))
    assert "other bytes" in t("put", "a", "@5")["text"]


def test_damage_of_a_part_is_found(s3, t):
    t.ok("multipart", "a", "@100")
    begun = t.ok("begin", "b", "@100")
    s3.rules.append(Rule(s3_chaos.damages, method="PUT", query="partNumber"))
    answer = t("part", "b", "@100", begun["state"], begun["part_bytes"], 1)
    assert answer["kind"] == "retry"


def test_damage_of_the_very_first_part_is_found(s3, t):
    begun = t.ok("begin", "b", "@100")
    s3.rules.append(Rule(s3_chaos.damages, method="PUT", query="partNumber"))
    assert t("part", "b", "@100", begun["state"], begun["part_bytes"], 1)["kind"] == "retry"
    part = t.ok("part", "b", "@100", begun["state"], begun["part_bytes"], 1)
    t.ok("finish", "b", "@100", begun["state"], begun["part_bytes"], f"1={part['etag']}")
    assert s3.objects[b"p/b"]["body"] == pattern(100)


def test_a_wrong_etag_is_judged_by_the_bytes(s3, t):
    """One answer that lies about bytes that are right is read back, and believed to be opaque."""
    s3.rules.append(Rule(s3_chaos.wrong_etag, method="PUT"))
    t.ok("put", "a", "@5")
    assert t.ok("stat", "a")["md5"] == ""


@pytest.mark.parametrize("etags", ["random", "kms"])
def test_opaque_etags_are_learnt(s3, t, etags):
    s3.etags = etags
    t.ok("put", "a", "@3000000")
    before = len(s3.requests)
    t.ok("put", "b", "@5")
    assert [r.method for r in s3.requests[before:]] == ["PUT", "HEAD"]
    t.ok("multipart", "c", "@11000000", "part-bytes=5242880")
    st = t.ok("stat", "a")
    assert st["md5"] == ""
    assert st["original_etag"] == hashlib.md5(pattern(3000000)).hexdigest()


def test_bytes_that_are_not_the_objects_never_leave(s3, t, tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    t.ok("put", "a", str(tmp_path / "f"))
    answer = t("put", "b", str(tmp_path / "f"), "fail-at=1", "md5=0")
    assert answer["kind"] == "object"
    assert b"p/b" not in s3.objects


# What a store cannot do is learnt

@pytest.mark.parametrize("tagging", ["drop", "refuse", "deny"])
def test_tags_travel_in_metadata_where_a_store_has_none(s3, t, tagging):
    s3.tagging = tagging
    t.ok("put", "a", "@5", "tag:k=v w", "tag:x=\u00e4")
    assert t.ok("stat", "a")["tags"] == {"k": "v w", "x": "\u00e4"}
    assert s3.objects[b"p/a"]["headers"]["x-amz-meta-holdfast-tags"] == "k=v%20w&x=%C3%A4"
    before = len(s3.requests)
    t.ok("put", "b", "@5", "tag:k=v")
    assert [r.method for r in s3.requests[before:]] == ["PUT"]
    assert t("retag", "a", "@5", "tag:k=w")["kind"] == "object"


def test_tags_of_the_stores_own_are_changed_in_place(s3, t):
    t.ok("put", "a", "@5", "tag:k=v")
    assert s3.objects[b"p/a"]["tags"] == [("k", "v")]
    t.ok("retag", "a", "@5", "tag:k=w")
    assert t.ok("stat", "a")["tags"] == {"k": "w"}


def test_content_md5_is_left_out_where_it_is_refused(s3, t):
    s3.content_md5 = "refuse"
    t.ok("put", "a", "@5")
    t.ok("multipart", "b", "@100")


def test_content_md5_is_there_where_it_is_required(s3, t):
    s3.content_md5 = "require"
    t.ok("put", "a", "@5")
    t.ok("multipart", "b", "@100")
    t.ok("put", "c", "@5", "attr:x-amz-meta-u=\u00fc")


@pytest.mark.parametrize("conditions,can", [("keep", True), ("ignore", False), ("refuse", False)])
def test_conditions_are_learnt(s3, open_s3, conditions, can):
    s3.conditions = conditions
    t = open_s3(s3)
    t.ok("put", "a", "@5", "if-absent=1")
    assert t("put", "a", "@5", "if-absent=1")["kind"] == "exists"
    t = open_s3(s3)
    t.ok("probe")
    assert t.ok("limits")["can_condition"] is can
    t.ok("put", "b", "@5", "if-absent=1")
    assert t("put", "b", "@6", "if-absent=1")["kind"] == "exists"
    assert len(s3.objects[b"p/b"]["body"]) == 5


@pytest.mark.parametrize("listing", ["v2", "v1", "v1-strict"])
@pytest.mark.parametrize("encoding", ["url", "last", "ignore", "refuse"])
def test_every_way_of_listing_gives_the_same(s3, t, listing, encoding):
    s3.listing, s3.encoding, s3.max_keys = listing, encoding, 3
    keys = sorted(["a", "a/b", "b +%25", "b&<", "c\u00e9", "d/1", "d/2", "e%2Fx"], key=str.encode)
    for key in keys:
        t.ok("put", key, "@1")
    assert t.keys() == keys
    assert t.keys("", "b&<") == keys[keys.index("b&<") + 1:]
    assert t.keys("d/") == ["d/1", "d/2"]


def test_keys_out_of_order_are_refused(s3, t):
    for key in ("a", "b"):
        t.ok("put", key, "@1")

    def reverse(server, request, serve):
        answer = serve()
        parts = answer.body.split(b"<Contents>")
        head, entries = parts[0], parts[1:]
        tail = entries[-1].split(b"</Contents>")[1]
        bodies = [e.split(b"</Contents>")[0] for e in entries]
        answer.body = head + b"".join(b"<Contents>" + b + b"</Contents>" for b in reversed(bodies)) + tail
        answer.headers.pop("Content-Length", None)
        return answer

    s3.rules.append(Rule(reverse, method="GET"))
    answer = t("list", "")
    assert answer["kind"] == "person"
    assert "order" in answer["text"]


def test_a_versioned_bucket_keeps_nothing_of_the_probe(s3, t):
    s3.versioning = True
    answer = t.ok("probe")
    assert not s3.objects and not s3.versions and not s3.uploads
    assert rows(answer)["versioning"]["result"] == "warning"


def test_the_probe_leaves_nothing_when_it_fails_half_way(s3, open_s3):
    for rule in (Rule(s3_chaos.cut_after, method="PUT"), Rule(s3_chaos.internal_error, method="PUT", query="partNumber"),
                 Rule(s3_chaos.cut_after, method="POST", query="uploadId"), Rule(s3_chaos.cut_after, method="POST", query="uploads"),
                 Rule(s3_chaos.damages, method="PUT")):
        t = open_s3(s3)
        s3.rules[:] = [rule]
        assert not t("probe")["ok"]
        assert rule.left == 0
        assert not s3.objects
        if "uploads" not in rule.fits.get("query", ""):  # whose name nobody learnt
            assert not s3.uploads
        s3.uploads.clear()


RULE = "<Rule><ID>{0}</ID><Filter><Prefix>{1}</Prefix></Filter><Status>{2}</Status>{3}</Rule>"
EXPIRES = "<Expiration><Days>30</Days></Expiration>"


@pytest.mark.parametrize("rule,result", [
    (RULE.format("all", "", "Enabled", EXPIRES), "warning"),
    (RULE.format("below", "p/kopia/", "Enabled", EXPIRES), "warning"),
    (RULE.format("other", "q/", "Enabled", EXPIRES), "ok"),
    (RULE.format("off", "", "Disabled", EXPIRES), "ok"),
    (RULE.format("noncurrent", "", "Enabled", "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>"
                 "</NoncurrentVersionExpiration>"), "ok"),
    (RULE.format("ice", "", "Enabled", "<Transition><Days>7</Days><StorageClass>GLACIER</StorageClass></Transition>"), "warning"),
    (RULE.format("ia", "", "Enabled", "<Transition><Days>7</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"), "ok"),
])
def test_lifecycle_rules_that_would_destroy_backups_are_named(s3, t, rule, result):
    s3.documents["lifecycle"] = f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>"
    row = rows(t.ok("probe"))["lifecycle"]
    assert row["result"] == result, row
    if result == "warning":
        assert rule.split("<ID>")[1].split("<")[0] in row["text"]


def test_object_lock_is_named(s3, t):
    s3.documents["object-lock"] = ("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
                                   "<Mode>COMPLIANCE</Mode><Days>14</Days></DefaultRetention></Rule></ObjectLockConfiguration>")
    row = rows(t.ok("probe"))["lock"]
    assert row["result"] == "warning" and "14 days" in row["text"]


def test_rules_that_may_not_be_read_are_no_failure(s3, t):
    s3.denied |= {"s3:GetLifecycleConfiguration", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"}
    answer = t.ok("probe")
    assert [rows(answer)[s]["result"] for s in ("lifecycle", "versioning", "lock")] == ["skipped"] * 3


# The network

def test_tls_needs_the_authority(open_s3):
    with S3Chaos(tls=True) as fake:
        answer = open_s3(fake)("probe")
        assert (answer["kind"], answer["code"], answer["rows"][-1]["step"]) == ("person", "CertificateUnknown", "tls")
        assert "CA certificate" in answer["text"]
        open_s3(fake, ca_cert=fake.ca).ok("probe")
        answer = open_s3(fake, ca_cert=fake.ca, endpoint=f"https://127.0.0.1:{fake.port}")("probe")
        assert answer["code"] == "CertificateHost"
        answer = open_s3(fake, endpoint=f"http://localhost:{fake.port}")("put", "a", "@5")
        assert answer["kind"] in ("retry", "object")


def test_plain_http_at_a_tls_endpoint_is_named(s3, open_s3):
    answer = open_s3(s3, endpoint=f"https://127.0.0.1:{s3.port}")("probe")
    assert answer["rows"][-1]["step"] == "tls"


def test_a_port_where_nobody_listens(open_s3):
    with S3Chaos() as fake:
        port = fake.port
    fake.url = f"http://127.0.0.1:{port}"
    answer = open_s3(fake)("probe")
    assert (answer["kind"], answer["rows"][-1]["step"]) == ("retry", "connect")
    assert "refused" in answer["text"]


def test_a_name_that_is_none(s3, open_s3):
    answer = open_s3(s3, endpoint="http://no-such-name.invalid")("probe")
    assert (answer["kind"], answer["rows"][-1]["step"]) == ("retry", "resolve")


def test_a_bandwidth_limit_holds(s3, open_s3):
    t = open_s3(s3, bytes_per_second=1000000)
    began = time.monotonic()
    t.ok("put", "a", "@3000000")
    assert time.monotonic() - began > 2


# The fields

@pytest.mark.parametrize("fields,words", [
    ({"bucket": ""}, "bucket: give"), ({"bucket": "a/b"}, "bucket: \"a/b\" is no name"), ({"endpoint": ""}, "endpoint: an S3"),
    ({"endpoint": "ftp://x"}, "endpoint: write"), ({"path": "a//b"}, "path: "), ({"path": "a/../b"}, "path: "),
    ({"access_key_id": ""}, "access-key-id: give"), ({"secret_access_key": "a b"}, "secret-access-key: it has blanks"),
    ({"region": "eu west"}, "region: "), ({"sse": "yes"}, "sse: "), ({"storage_class": "GLACIER"}, "storage-class: "),
    ({"proxy": "host:3128"}, "proxy: "), ({"ca_cert": "/dev/null"}, None)])
def test_fields_are_checked_without_the_network(fields, words):
    whole = {"provider": "s3", "endpoint": "https://h", "bucket": "bucket", "access_key_id": "a", "secret_access_key": "s"}
    if words is None:
        return
    assert open_fails(**{**whole, **fields}).startswith(words)


# AWS itself

@pytest.fixture
def aws(tool):
    """The provider AWS by its own host names, which lead to a fake."""
    made = []

    def make(region, host_region, bucket="bucket", tls_names=None, **more):
        names = tls_names or [f"{bucket}.s3.{r}.amazonaws.com" for r in (region, host_region)]
        fake = S3Chaos(bucket=bucket, region=host_region, tls=True, names=names)
        made.append(fake)
        resolve = "\n".join(f"{n}:443:127.0.0.1:{fake.port}" for n in names)
        return fake, tool(provider="aws", region=region, bucket=bucket, access_key_id=fake.ACCESS_KEY, path="p",
                          secret_access_key=fake.SECRET_KEY, ca_cert=fake.ca, resolve=resolve, **more)

    yield make
    for fake in made:
        fake.close()


def test_aws_is_spoken_to_by_the_buckets_own_host(aws):
    fake, t = aws("eu-central-1", "eu-central-1")
    t.ok("put", "a", "@5", "tag:k=v")
    assert fake.requests[-1].header("host") == "bucket.s3.eu-central-1.amazonaws.com"
    assert t.ok("limits")["parts_max"] == 10000
    assert t.ok("limits")["can_condition"]
    assert t.ok("stat", "a")["tags"] == {"k": "v"}
    t.ok("retag", "a", "@5", "tag:k=w")
    assert t.ok("stat", "a")["tags"] == {"k": "w"}


@pytest.mark.parametrize("how", ["scope", "301"])
def test_aws_in_another_region_is_found_and_said(aws, how):
    fake, t = aws("us-east-1", "eu-west-1")
    fake.redirect = how
    t.ok("put", "a", "@5")
    assert fake.requests[-1].header("host") == "bucket.s3.eu-west-1.amazonaws.com"
    row = rows(t.ok("probe"))["bucket"]
    assert (row["result"], "set the region to eu-west-1" in row["text"]) == ("warning", True)


def test_aws_in_china_and_by_path_for_dotted_names(aws):
    fake, t = aws("cn-north-1", "cn-north-1", tls_names=["bucket.s3.cn-north-1.amazonaws.com.cn"])
    t.ok("put", "a", "@5")
    fake, t = aws("us-gov-west-1", "us-gov-west-1", bucket="my.bucket", tls_names=["s3.us-gov-west-1.amazonaws.com"])
    t.ok("put", "a", "@5")
    assert fake.requests[0].path == "/my.bucket/p/a"


def test_storage_class_and_encryption_are_asked_for(aws):
    fake, t = aws("us-east-1", "us-east-1", storage_class="STANDARD_IA", sse="aws:kms", sse_kms_key_id="arn:aws:kms:k",
                  sse_bucket_key=True)
    fake.etags = "kms"
    for command in (("put", "a", "@5"), ("multipart", "b", "@5")):
        t.ok(*command)
        first = [r for r in fake.requests if r.header("x-amz-server-side-encryption")][-1]
        assert first.header("x-amz-server-side-encryption") == "aws:kms"
        assert first.header("x-amz-server-side-encryption-aws-kms-key-id") == "arn:aws:kms:k"
        assert first.header("x-amz-server-side-encryption-bucket-key-enabled") == "true"
        assert first.header("x-amz-storage-class") == "STANDARD_IA"
    t.ok("probe")


def test_encryption_by_s3s_own_keys_is_asked_for(aws):
    fake, t = aws("us-east-1", "us-east-1", sse="AES256")
    t.ok("put", "a", "@5")
    t.ok("multipart", "b", "@5")
    asked = [r.header("x-amz-server-side-encryption") for r in fake.requests if r.method == "PUT" and r.path == "/p/a" or "uploads" in r.query]
    assert asked == ["AES256", "AES256"]
    assert not any(r.header("x-amz-server-side-encryption-aws-kms-key-id") for r in fake.requests)


def test_a_disabled_key_and_a_clock_that_cannot_be_mended_are_named(s3, open_s3):
    s3.disabled.add(s3.ACCESS_KEY)
    row = open_s3(s3)("probe")["rows"][-1]
    assert row["step"] == "authenticate" and "disabled" in row["text"] and row["request_id"]
    s3.disabled.clear()
    s3.rules.append(Rule(lambda server, request, serve: server.error(403, "RequestTimeTooSkewed", "skewed"), times=9, method="GET"))
    row = open_s3(s3)("probe")["rows"][-1]
    assert (row["step"], row["code"]) == ("authenticate", "RequestTimeTooSkewed") and "set the clock" in row["text"]


def test_each_row_is_timed(s3, t):
    s3.rules.append(Rule(s3_chaos.late(0.3), method="PUT"))
    found = rows(t.ok("probe"))
    assert found["put"]["us"] >= 300_000
    assert all(r["us"] > 0 for r in found.values() if r["result"] != "skipped")
