"""The Google protocol of destinations at fake-gcs-server, alone and behind a front that is as strict as Google."""

import hashlib
import json
import os
import time

import pytest

from desttool import open_fails, pattern
from google_front import refusal
from google_peers import account_file, bucket, fake_gcs, front, google, metadata, tokens  # noqa: F401
from serving import Answer

MIB = 1 << 20


@pytest.fixture(params=["alone", "front"])
def session(request, google, fake_gcs, bucket):
    return google(endpoint=fake_gcs.url) if request.param == "alone" else google()


@pytest.fixture
def random_file(tmp_path):
    """Bytes of which no two chunks are the same: random_file(size) gives the path."""
    def make(size):
        path = tmp_path / f"random-{size}"
        path.write_bytes(os.urandom(size))
        return str(path)

    return make


def is_same(got, path):
    with open(path, "rb") as f:
        return got == f.read()


def once(answer, **fits):
    """For front.before: the first request that fits gets that answer."""
    left = [answer]

    def before(request):
        if not left or any(wanted not in getattr(request, name) for name, wanted in fits.items()):
            return None
        return left.pop()

    return before


def test_what_was_put_is_there_with_the_same_key_and_bytes(session, fake_gcs, bucket):
    for key in ("kopia/abc", "a b/ü+%25?#&=x", "dots/./../x", "tail/"):
        session.ok("put", key, "@100000")
        assert fake_gcs.bytes(bucket, "p/" + key) == pattern(100000)
        assert session.bytes(key, 70000, 30000) == pattern(30000, 70000)
    session.ok("put", "empty", "@0")
    assert session.ok("stat", "empty")["size"] == 0


def test_headers_metadata_tags_and_times_come_back(session, fake_gcs, bucket):
    session.ok("put", "a", "@10", "attr:content-type=text/plain", "attr:cache-control=no-store", "attr:content-language=de",
               "attr:content-disposition=attachment", "attr:x-amz-meta-kopia=some value ", "attr:x-amz-meta-u=ü",
               "attr:x-amz-meta-empty=", "tag:k=v w", "tag:ä=ö", "mtime=1700000000123", "version=42",
               "etag=0123456789abcdef0123456789abcdef-7")
    st = session.ok("stat", "a")
    assert st["attributes"] == {"content-type": "text/plain", "cache-control": "no-store", "content-language": "de",
                                "content-disposition": "attachment", "x-amz-meta-kopia": "some value ", "x-amz-meta-u": "ü",
                                "x-amz-meta-empty": ""}
    assert st["tags"] == {"k": "v w", "ä": "ö"}
    assert (st["original_mtime"], st["version"], st["size"]) == (1700000000123, 42, 10)
    assert st["original_etag"] == "0123456789abcdef0123456789abcdef-7"
    assert st["md5"] == hashlib.md5(pattern(10)).hexdigest()
    assert abs(st["mtime"] - time.time() * 1000) < 60000
    assert fake_gcs.names(bucket) == ["p/a"]


def test_gzip_comes_back_as_it_was_sent(session):
    session.ok("put", "a", "@5000", "attr:content-encoding=gzip")
    assert session.bytes("a", 0, 5000) == pattern(5000)
    assert session.ok("stat", "a")["attributes"]["content-encoding"] == "gzip"


def test_what_metadata_cannot_hold_comes_back_from_the_side_object(session):
    session.ok("put", "a", "@10", "attr:x-amz-meta-long=" + "y" * 8000, "attr:x-amz-meta-longer=" + "z" * 300,
               "attr:expires=Thu, 01 Dec 2033 16:00:00 GMT", "attr:x-amz-meta-holdfast-etag=mine", "tag:a=b")
    st = session.ok("stat", "a")
    assert st["attributes"]["x-amz-meta-long"] == "y" * 8000
    assert st["attributes"]["x-amz-meta-longer"] == "z" * 300
    assert st["attributes"]["expires"] == "Thu, 01 Dec 2033 16:00:00 GMT"
    assert st["attributes"]["x-amz-meta-holdfast-etag"] == "mine"
    assert st["tags"] == {"a": "b"}
    assert len(session.keys("plugins/holdfast/meta/")) == 1
    session.ok("put", "a", "@10", "version=8")
    assert session.keys() == ["a"]
    session.ok("put", "a", "@10", "attr:x-amz-meta-long=" + "y" * 9000, "version=9")
    session.ok("remove", "a")
    assert session.keys() == []


def test_kopias_own_time_is_set_for_its_blobs_alone(session, fake_gcs, bucket):
    session.ok("put", "kopia/ns/p0", "@10", "mtime=1700000000123")
    session.ok("put", "b/kopia/ns/p0", "@10", "mtime=1700000000123")
    session.ok("put", "backups/x", "@10")
    for key in ("p/kopia/ns/p0", "p/b/kopia/ns/p0"):
        assert fake_gcs.object(bucket, key)["metadata"]["Kopia-Mtime"] == "1700000000123000000"
    assert "Kopia-Mtime" not in fake_gcs.object(bucket, "p/backups/x")["metadata"]
    assert not any("kopia" in name for name in session.ok("stat", "kopia/ns/p0")["attributes"])


@pytest.mark.parametrize("size", [1, 256 << 10, 8 * MIB, 8 * MIB + 1, 16 * MIB + (256 << 10), 21 * MIB + 12345])
def test_large_objects_go_as_resumable_uploads(session, fake_gcs, bucket, random_file, size):
    path = random_file(size)
    session.ok("multipart", "big", path, "part-bytes=%d" % (8 * MIB), "tag:a=b")
    assert is_same(fake_gcs.bytes(bucket, "p/big"), path)
    st = session.ok("stat", "big")
    assert (st["size"], st["version"], st["tags"]) == (size, 7, {"a": "b"})


def test_a_part_larger_than_memory_goes_in_chunks(google, front, fake_gcs, bucket, random_file):
    path = random_file(20 * MIB)
    google().ok("multipart", "big", path, f"part-bytes={64 * MIB}", "md5=0")
    assert is_same(fake_gcs.bytes(bucket, "p/big"), path)
    assert max(len(r.body) for r in front.requests) == 8 * MIB


def test_nothing_is_seen_before_finish(google, front, fake_gcs, bucket, random_file):
    t, size, n = google(), 9 * MIB, 8 * MIB
    path = random_file(size)
    begun = t.ok("begin", "big", path)
    one = t.ok("part", "big", path, begun["state"], n, 1)["etag"]
    two = t.ok("part", "big", path, begun["state"], n, 2)["etag"]
    assert fake_gcs.names(bucket) == []
    before = sum(len(r.body) for r in front.requests)
    t.ok("finish", "big", path, begun["state"], n, f"1={one},2={two}")
    assert sum(len(r.body) for r in front.requests) - before <= 256 << 10
    assert fake_gcs.names(bucket) == ["p/big"]


def test_a_restart_continues_an_upload(google, front, fake_gcs, bucket, random_file):
    size, n = 20 * MIB, 8 * MIB
    path = random_file(size)
    first = google()
    begun = first.ok("begin", "big", path)
    one = first.ok("part", "big", path, begun["state"], n, 1)["etag"]
    first.close()
    second = google()
    # The same part again, as when its note was lost: not a byte of it is sent twice.
    before = sum(len(r.body) for r in front.requests)
    assert second.ok("part", "big", path, begun["state"], n, 1)["etag"] == one
    assert sum(len(r.body) for r in front.requests) - before < 4096
    two = second.ok("part", "big", path, begun["state"], n, 2)["etag"]
    second.close()
    third = google()
    three = third.ok("part", "big", path, begun["state"], n, 3)["etag"]
    third.close()
    google().ok("finish", "big", path, begun["state"], n, f"1={one},2={two},3={three}")
    assert is_same(fake_gcs.bytes(bucket, "p/big"), path)


def test_a_chunk_of_which_a_part_arrived_goes_on_from_there(google, front, fake_gcs, bucket, random_file):
    front.keep_only = [3 * MIB, 0, 256 << 10]
    path = random_file(9 * MIB)
    google().ok("multipart", "big", path, f"part-bytes={8 * MIB}", "md5=0")
    assert is_same(fake_gcs.bytes(bucket, "p/big"), path)


def test_a_chunk_whose_answer_is_lost_is_asked_for(google, front, fake_gcs, bucket, random_file):
    t, size, n = google(), 17 * MIB, 8 * MIB
    path = random_file(size)
    begun = t.ok("begin", "big", path)
    lost = []

    def lose(request, answer):
        if request.method == "PUT" and not lost:
            lost.append(1)
            return Answer(drop=True)
        return answer

    front.after = lose
    answer = t("part", "big", path, begun["state"], n, 1)
    assert (answer["ok"], answer["kind"], answer["fate_unknown"]) == (False, "retry", True)
    etags = [t.ok("part", "big", path, begun["state"], n, i)["etag"] for i in (1, 2, 3)]
    t.ok("finish", "big", path, begun["state"], n, ",".join(f"{i + 1}={e}" for i, e in enumerate(etags)))
    assert is_same(fake_gcs.bytes(bucket, "p/big"), path)


def test_a_finish_whose_answer_is_lost_is_known_the_next_time(google, front, fake_gcs, bucket, random_file):
    t, size, n = google(), 9 * MIB, 8 * MIB
    path = random_file(size)
    begun = t.ok("begin", "big", path)
    etags = [t.ok("part", "big", path, begun["state"], n, i)["etag"] for i in (1, 2)]
    finish = ("finish", "big", path, begun["state"], n, f"1={etags[0]},2={etags[1]}")
    front.after = lambda request, answer: Answer(drop=True)
    answer = t(*finish)
    assert (answer["kind"], answer["fate_unknown"]) == ("retry", True)
    front.after = None
    t.ok(*finish)
    assert is_same(fake_gcs.bytes(bucket, "p/big"), path)


def test_an_upload_that_is_gone_is_missing(google, front, random_file):
    t, size, n = google(), 9 * MIB, 8 * MIB
    path = random_file(size)
    begun = t.ok("begin", "big", path)
    for upload in front.uploads.values():
        upload.dead = True
    assert t("part", "big", path, begun["state"], n, 1)["kind"] == "missing"
    front.uploads.clear()
    assert t("part", "big", path, begun["state"], n, 1)["kind"] == "missing"
    t.ok("abort", "big", begun["state"])


def test_an_upload_is_given_up(google, front, fake_gcs, bucket):
    t = google()
    begun = t.ok("begin", "big", f"@{9 * MIB}")
    t.ok("abort", "big", begun["state"])
    assert all(u.dead for u in front.uploads.values())
    t.ok("abort", "big", begun["state"])
    assert fake_gcs.names(bucket) == []


def test_an_address_elsewhere_gets_no_token(google, front):
    def elsewhere(request, answer):
        if "Location" in answer.headers:
            answer.headers["Location"] = answer.headers["Location"].replace("127.0.0.1", "127.0.0.2")
        return answer

    front.after = elsewhere
    assert google()("begin", "big", f"@{9 * MIB}")["kind"] == "retry"


def test_if_absent_puts_once(google):
    t = google()
    t.ok("put", "owner", "@10", "if-absent=1")
    answer = t("put", "owner", "@11", "if-absent=1")
    assert answer["kind"] == "exists"
    assert t.ok("stat", "owner")["size"] == 10
    limits = t.ok("limits")
    assert limits["can_condition"] and limits["same_key_interval_ms"] == 1000


def test_listing_is_in_byte_order_from_behind_a_key(google, front, fake_gcs, bucket):
    t = google()
    keys = sorted(["a", "a/b", "a0", "b", "é", "z", "\U0001f600", "\uff61", "c d", "c+d"], key=lambda k: k.encode())
    for key in keys:
        fake_gcs.put(bucket, "p/" + key, b"x")
    fake_gcs.put(bucket, "other", b"x")
    fake_gcs.put(bucket, "q/a", b"x")
    for front.page in (None, 1, 3):
        assert t.keys() == keys
        assert t.keys("-", "a/b") == keys[keys.index("a/b") + 1:]
        assert t.keys("c", "c+d", 1) == [k for k in keys if k.startswith("c") and k > "c+d"][:1]
    entry = t.ok("list", "b")["entries"][0]
    assert (entry["size"], entry["md5"]) == (1, hashlib.md5(b"x").hexdigest())


def test_without_a_path_the_whole_bucket_is_meant(google, fake_gcs, bucket):
    t = google(path="")
    t.ok("put", "x/y", "@3")
    assert fake_gcs.names(bucket) == ["x/y"] == t.keys()


def test_remove_is_of_the_key_alone_and_twice_the_same(session):
    for key in ("a", "a/b", "ab"):
        session.ok("put", key, "@3")
    session.ok("remove", "a")
    session.ok("remove", "a")
    assert session.keys() == ["a/b", "ab"]
    assert session("stat", "a")["kind"] == "missing"


def test_retag_sends_no_bytes_and_asks_for_no_wider_scope(google, front, fake_gcs, bucket):
    t = google()
    t.ok("put", "a", "@100", "tag:k=v", "attr:x-amz-meta-m=1")
    sent = len(front.requests)
    t.ok("retag", "a", "@100", "tag:k2=v2", "attr:x-amz-meta-m=1")
    assert [r.method for r in front.requests[sent:]] == ["GET", "POST"]
    assert "/rewriteTo/" in front.requests[-1].path and pattern(100) not in front.requests[-1].body
    st = t.ok("stat", "a")
    assert st["tags"] == {"k2": "v2"} and st["attributes"]["x-amz-meta-m"] == "1"
    t.ok("retag", "a", "@100", "attr:x-amz-meta-m=1")
    assert t.ok("stat", "a")["tags"] == {}
    answer = t("retag", "a", "@101", "tag:k=v")
    assert answer["kind"] == "object"
    assert t("retag", "none", "@1")["kind"] == "missing"
    assert t.bytes("a", 0, 100) == pattern(100)


def test_a_retag_in_several_steps_goes_on_to_its_end(google, front):
    t = google()
    t.ok("put", "a", "@100", "tag:k=v")
    steps = []

    def slowly(request):
        if "/rewriteTo/" not in request.path or len(steps) == 2:
            return None
        steps.append(request.query)
        return Answer(200, json.dumps({"done": False, "rewriteToken": f"token/{len(steps)}"}), {"Content-Type": "application/json"})

    front.before = slowly
    t.ok("retag", "a", "@100", "tag:k=v2")
    assert "rewriteToken=token%2F1" in steps[1] and "rewriteToken=token%2F2" in front.requests[-1].query
    assert t.ok("stat", "a")["tags"] == {"k": "v2"}


def test_keys_that_google_cannot_hold_are_told(google):
    t, bare = google(), google(path="")
    for key in ("x" * 1022, "é" * 511):
        t.ok("check", key)
    for key in ("x" * 1023, "a\nb", "a\rb", b"\xff", b"\xed\xa0\x80", ""):
        assert t("check", key)["kind"] == "object", key
    for key in (".", "..", ".well-known/acme-challenge/x"):
        assert bare("check", key)["kind"] == "object"
        t.ok("check", key)
    for key in ("...", ".a", ".well-known/x", "a/..", "a//b"):
        bare.ok("check", key)


def test_bytes_that_were_changed_on_their_way_are_sent_again(google, front):
    def damage(request):
        if request.method == "POST" and "multipart" in request.query:
            request.body = request.body.replace(pattern(1000), pattern(999) + b"!")

    t = google()
    front.before = damage
    answer = t("put", "a", "@1000")
    assert answer["kind"] == "retry" and "changed on their way" in answer["text"]
    front.before = None
    t.ok("put", "a", "@1000")


@pytest.mark.parametrize("how", ["put", "multipart"])
def test_bytes_that_google_stored_otherwise_are_removed_again(google, front, fake_gcs, bucket, how):
    t = google()
    front.damage = True
    answer = t(how, "a", "@1000")
    assert answer["kind"] == "retry" and "other bytes" in answer["text"]
    assert fake_gcs.names(bucket) == []


def test_an_answer_with_a_wrong_checksum_is_no_success(google, front):
    def lie(request, answer):
        if request.method == "POST":
            answer.body = json.dumps({**json.loads(answer.body), "crc32c": "AAAAAA=="}).encode()
        return answer

    front.after = lie
    assert google()("put", "a", "@1000")["kind"] == "retry"


def test_a_source_that_breaks_is_the_fault(google, fake_gcs, bucket):
    t = google()
    assert "the source breaks" in t("put", "a", "@100000", "fail-at=5000")["text"]
    assert "the source breaks" in t("multipart", "a", f"@{9 * MIB}", "fail-at=%d" % (8 * MIB + 5))["text"]
    assert fake_gcs.names(bucket) == []


def test_a_truncated_download_is_tried_again(google, front):
    t = google()
    t.ok("put", "a", "@100000")

    def cut(request, answer):
        if "alt=media" in request.query:
            answer.cut_at = 5000
        return answer

    front.after = cut
    answer = t("get", "a", 0, 100000, "/dev/null")
    assert answer["kind"] == "retry"
    front.after = None
    assert t("get", "a", 0, 100001, "/dev/null")["kind"] == "object"
    assert t("get", "a", 100001, 1, "/dev/null")["kind"] == "object"
    assert t("get", "none", 0, 1, "/dev/null")["kind"] == "missing"


@pytest.mark.parametrize("answer, kind, slow, words", [
    (refusal(429, "rateLimitExceeded", "The object exceeded the rate limit for object mutation operations", Retry_After="3"),
     "retry", True, "fewer requests"),
    (refusal(503, "backendError", "Backend error"), "retry", True, "at the moment"),
    (refusal(500, "internalError", "Oops"), "retry", True, ""),
    (refusal(403, "accountDisabled", "The project's account is disabled"), "person", False, "billing"),
    (refusal(403, "retentionPolicyNotMet", "Object 'x' is subject to bucket's retention policy"), "object", False, "retention"),
    (refusal(403, "objectUnderActiveHold", "Object is under active Event-Based hold"), "object", False, "hold"),
    (refusal(403, "insufficientPermissions", "Insufficient Permission"), "person", False, "storage-rw"),
    (refusal(400, "UserProjectMissing", "Bucket is a requester pays bucket"), "person", False, "requester pays"),
    (refusal(403, "forbidden", "Permission denied on Cloud KMS key. Please ensure"), "person", False, "cryptoKeyEncrypter"),
    (Answer(502, "<html>bad gateway</html>", {"Content-Type": "text/html"}), "retry", True, "502"),
])
def test_refusals_are_sorted(google, front, answer, kind, slow, words):
    t = google()
    front.before = lambda request: answer if request.method == "POST" else None
    said = t("put", "a", "@10")
    assert (said["kind"], said["slow_down"]) == (kind, slow), said
    assert words in said["text"]
    if answer.status == 429:
        assert said["retry_after_ms"] == 3000
    if answer.status == 503:
        assert said["request_id"] == "up-1"


@pytest.mark.parametrize("permission, command", [
    ("storage.objects.create", ("put", "a", "@1")), ("storage.objects.create", ("begin", "a", "@1")),
    ("storage.objects.get", ("stat", "a")), ("storage.objects.get", ("get", "a", 0, 1, "/dev/null")),
    ("storage.objects.list", ("list", "-")), ("storage.objects.delete", ("remove", "a"))])
def test_a_missing_permission_is_named(google, front, tokens, permission, command):
    t = google()
    t.ok("put", "a", "@1")
    front.denied[permission] = "forbidden"
    said = t(*command)
    assert said["kind"] == "person"
    assert permission in said["text"] and tokens.email in said["text"]


def test_overwriting_without_the_permission_to_delete_names_it(google, front):
    t = google()
    front.before = once(refusal(403, "forbidden", "x@y does not have storage.objects.delete access to the Google Cloud Storage "
                                "object. Permission 'storage.objects.delete' denied on resource (or it may not exist)."), method="POST")
    assert "Permission storage.objects.delete is missing" in t("put", "a", "@1")["text"]


def test_a_missing_bucket_is_no_missing_object(google):
    t = google(bucket="no-such-bucket")
    for command in (("put", "a", "@1"), ("begin", "a", "@1"), ("stat", "a"), ("list", "-"), ("get", "a", 0, 1, "/dev/null")):
        said = t(*command)
        assert said["kind"] == "person" and "There is no bucket no-such-bucket" in said["text"], command


def test_keys_classes_and_endpoints_are_checked_before_the_network(account_file, front):
    common = {"provider": "google", "bucket": "bucket", "service_account_json": account_file}
    assert "bucket" in open_fails(**{**common, "bucket": "gs://x/y"})
    assert "bucket" in open_fails(**{**common, "bucket": "Upper"})
    assert "path" in open_fails(**common, path="a//b")
    assert "storage-class" in open_fails(**common, storage_class="GLACIER")
    assert "kms-key-name" in open_fails(**common, kms_key_name="key")
    assert "endpoint" in open_fails(**common, endpoint="https://x?y")


def test_the_key_and_class_go_with_every_upload(google, front):
    t = google(kms_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k", storage_class="NEARLINE")
    t.ok("put", "a", "@1")
    t.ok("begin", "b", f"@{9 * MIB}")
    uploads = [r for r in front.requests if r.method == "POST"]
    assert len(uploads) == 2
    for r in uploads:
        assert "kmsKeyName=projects%2Fp%2Flocations%2Fl%2FkeyRings%2Fr%2FcryptoKeys%2Fk" in r.query
        assert b'"storageClass":"NEARLINE"' in r.body
