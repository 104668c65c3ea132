"""The Azure protocol of destinations against Azurite, by the account's key or a SAS token."""

import base64
import hashlib
import json
import re

import pytest

import azure_key
from azure_front import refusal
from azure_peers import ACCOUNT, KEY, azurite, container, front, put_blob  # noqa: F401
from desttool import open_fails, pattern
from serving import Answer

NASTY = ["a b", "a+b", "a%2Fb", "a&b=c?d#e", "ä/ö/ü", "quote'\"<>", "tilde~!$()*,;:@", "-x", "a//b", "deep/" * 50 + "end",
         "\U0001f600/face", "\ufb00/ligature", "z" * 1000]


@pytest.fixture
def azure(azurite, container, tool):
    """A destination in the container, straight to Azurite."""
    return tool(provider="azure", endpoint=f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", bucket=container, path="sites/one",
                account_key=KEY)


@pytest.fixture
def fronted(front, container, tool):
    def make(**fields):
        return tool(**{"provider": "azure", "endpoint": front.blob_url(), "bucket": container, "path": "sites/one",
                       "account_key": KEY, **fields})

    return make


def test_an_object_comes_back_with_all_that_travels_with_it(azure, azurite, container):
    sent = {
        "content-type": "text/plain; charset=utf-8", "content-encoding": "gzip", "content-language": "de, en",
        "cache-control": "max-age=3600", "content-disposition": 'attachment; filename="ä.txt"', "expires": "tomorrow",
        "x-amz-meta-simple": "value", "x-amz-meta-with-dash_and.dot": "100% of  two blanks ", "x-amz-meta-empty": "",
        "x-amz-meta-9lives-size": "zz", "x-amz-meta-name": "Grüße ☃", "x-amz-meta-kopiamtime": "mine", "x-amz-meta-zh": "x",
        "x-amz-meta-zholdfastversion": "99",
    }
    tags = {"team": "a&b=c", "größe": "ü", "empty": ""}
    azure.ok("put", "k", "@1000", *[f"attr:{n}={v}" for n, v in sent.items()], *[f"tag:{n}={v}" for n, v in tags.items()],
             "version=41", "mtime=1795523761123", "etag=0123456789abcdef0123456789abcdef-3")
    stat = azure.ok("stat", "k")
    assert stat["attributes"] == sent
    assert stat["tags"] == tags
    assert (stat["size"], stat["version"], stat["original_mtime"]) == (1000, 41, 1795523761123)
    assert stat["original_etag"] == "0123456789abcdef0123456789abcdef-3"
    assert stat["md5"] == hashlib.md5(pattern(1000)).hexdigest()
    headers, body = azurite.ok("GET", f"/{container}/sites/one/k")
    assert body == pattern(1000)
    assert headers["cache-control"] == "max-age=3600" and headers["x-ms-meta-simple"] == "value"
    assert "content-disposition" not in headers, "not ASCII, so it travels as metadata"


def test_no_content_type_stays_none(azure):
    azure.ok("put", "none", "@1")
    azure.ok("put", "octets", "@1", "attr:content-type=application/octet-stream")
    assert azure.ok("stat", "none")["attributes"] == {}
    assert azure.ok("stat", "octets")["attributes"] == {"content-type": "application/octet-stream"}


def test_what_others_wrote_is_read_as_it_stands(azure, azurite, container):
    put_blob(azurite, f"/{container}/sites/one/theirs", b"12345", x_ms_meta_zz20="a%41", x_ms_meta_mtime="17",
             x_ms_blob_content_type="image/png")
    stat = azure.ok("stat", "theirs")
    assert (stat["version"], stat["original_etag"], stat["original_mtime"], stat["size"]) == (0, "", 0, 5)
    assert stat["attributes"] == {"content-type": "image/png", "x-amz-meta-zz20": "a%41", "x-amz-meta-mtime": "17"}
    assert azure.bytes("theirs", 1, 3) == b"234"


def test_much_metadata_goes_into_a_side_object(azure):
    tags = {f"k{i:03}" + "ä" * 60: "ü" * 120 for i in range(10)}
    words = [f"tag:{n}={v}" for n, v in tags.items()]
    azure.ok("put", "k", "@10", "attr:content-type=a/b", "attr:x-amz-meta-x=y", *words, "version=5")
    stat = azure.ok("stat", "k")
    assert stat["tags"] == tags and stat["attributes"] == {"content-type": "a/b", "x-amz-meta-x": "y"}
    assert [k for k in azure.keys("plugins/holdfast/meta/") if k.endswith("/5.json")]
    azure.ok("put", "k", "@11", *words, "version=6")
    assert [k.rpartition("/")[2] for k in azure.keys("plugins/holdfast/meta/")] == ["6.json"]
    azure.ok("put", "k", "@11", "version=7")
    assert azure.keys("plugins/holdfast/meta/") == []
    azure.ok("put", "k", "@11", *words, "version=8")
    azure.ok("remove", "k")
    assert azure.keys("") == []


@pytest.mark.parametrize("key", ["kopia/p1", "backups/kopia/ns/q"])
def test_kopia_finds_its_times(azure, azurite, container, key):
    azure.ok("put", key, "@3", "mtime=1795523761123")
    headers, _ = azurite.ok("HEAD", f"/{container}/sites/one/{key}")
    assert headers["x-ms-meta-kopiamtime"] == "1795523761123000000"
    assert azure.ok("stat", key)["attributes"] == {}


def test_only_kopias_objects_carry_its_times(azure, azurite, container):
    azure.ok("put", "restic/kopia", "@3")
    headers, _ = azurite.ok("HEAD", f"/{container}/sites/one/restic/kopia")
    assert "x-ms-meta-kopiamtime" not in headers


def test_any_key_that_azure_can_hold_comes_back(azure):
    for key in NASTY:
        azure.ok("check", key)
        azure.ok("put", key, "@7")
    assert azure.keys("") == sorted(NASTY, key=lambda k: k.encode())
    for key in NASTY:
        assert azure.bytes(key, 0, 7) == pattern(7)
        azure.ok("remove", key)
    assert azure.keys("") == []


@pytest.mark.parametrize("key, says", [
    ("", "empty"), ("a/", "slash"), ("a.", "dot"), ("a./b", "dot"), ("a/../b", "dot"), ("a\\b", "'\\'"), ("a\nb", "control"),
    ("a\x7fb", "control"), (b"a\xff", "UTF-8"), (b"\xed\xa0\x80", "UTF-8"), ("k" * 1015, "1,024"), ("/".join("k" * 255), "254"),
])
def test_keys_that_azure_cannot_hold_are_that_objects_matter(azure, key, says):
    answer = azure("check", key)
    assert answer["kind"] == "object" and says in answer["text"]


def test_listings_ascend_in_byte_order_over_pages(fronted, front):
    t = fronted()
    names = ["a", "a-b", "a/b", "a0", "b/\U0001f600", "b/\U0001f600/x", "b/\uffee", "b/\ud7ff", "b/\ue000\U0001f600", "b0",
             "\U0001f600", "\U00010000z", "\uffee", "ÿ"]
    for name in names:
        t.ok("put", name, "@1")
    ordered = sorted(names, key=lambda k: k.encode())
    for page in (1, 2, 3, 5, 100):
        front.page = page
        assert t.keys("") == ordered
        assert t.keys("b/") == [n for n in ordered if n.startswith("b/")]
        for i, name in enumerate(ordered):
            assert t.keys("", name) == ordered[i + 1:], (page, name)
        seen, after = [], ""
        while True:
            some = t.keys("", after, 2)
            seen += some
            if len(some) < 2:
                break
            after = some[-1]
        assert seen == ordered, page


def test_a_listing_goes_on_without_reading_from_the_start(fronted, front):
    t = fronted()
    for i in range(40):
        t.ok("put", f"k{i:02}", "@1")
    front.page = 5
    t.keys("", "", 20)
    asked = len(front.requests)
    assert t.keys("", "k19", 3) == ["k20", "k21", "k22"]
    assert len(front.requests) - asked <= 2


def test_names_in_a_listing_may_be_encoded(fronted, front):
    t = fronted()
    t.ok("put", "a%41", "@1")

    def encode(request, answer):
        if "comp=list" in request.query:
            answer.body = answer.body.replace(b"<Name>sites/one/a%41</Name>", b'<Name Encoded="true">sites%2Fone%2Fa%EF%BF%BF</Name>')
            answer.headers.pop("content-length", None)
        return answer

    front.after = encode
    assert t.keys("") == ["a\uffff"]


def test_a_listing_that_does_not_ascend_is_not_believed(fronted, front):
    t = fronted()
    t.ok("put", "a", "@1")
    t.ok("put", "b", "@1")

    def swap(request, answer):
        if "comp=list" in request.query:
            answer.body = answer.body.replace(b"one/a<", b"one/c<")
        return answer

    front.after = swap
    answer = t("list", "")
    assert answer["kind"] == "person" and "hierarchical namespace" in answer["text"]


def test_a_condition_holds_back_a_second_put(azure):
    azure.ok("put", "owner", "@5", "if-absent=1")
    answer = azure("put", "owner", "@6", "if-absent=1")
    assert answer["kind"] == "exists"
    assert azure.ok("stat", "owner")["size"] == 5


def test_a_put_verifies_both_ways(fronted, front):
    t = fronted()
    t.ok("put", "k", "@100")
    put = [r for r in front.requests if r.method == "PUT"][-1]
    assert put.header("content-md5") == base64.b64encode(hashlib.md5(pattern(100)).digest()).decode()
    assert put.header("expect") is None and put.header("transfer-encoding") is None

    def lie(request, answer):
        answer.headers["content-md5"] = base64.b64encode(b"0" * 16).decode()
        return answer

    front.after = lie
    assert t("put", "k", "@100")["kind"] == "retry"
    assert t("get", "k", 0, 10, "/dev/null")["kind"] == "retry"


def test_local_bytes_that_are_not_those_stored_do_not_leave(fronted, front, tmp_path):
    t = fronted()
    answer = t("put", "k", "@100", "fail-at=50")
    assert answer["kind"] == "object" and "the source breaks" in answer["text"]
    assert not [r for r in front.requests if r.method == "PUT"]


@pytest.mark.parametrize("size, part", [(1, 0), (20_000_000, 0), (3_000_000, 1_000_000), (3_000_001, 1_000_000)])
def test_blocks_become_an_object(azure, size, part):
    options = [f"part-bytes={part}"] if part else []
    azure.ok("multipart", "big", f"@{size}", "attr:x-amz-meta-a=b", "tag:c=d", *options)
    stat = azure.ok("stat", "big")
    assert stat["size"] == size and stat["attributes"] == {"x-amz-meta-a": "b"} and stat["tags"] == {"c": "d"}
    assert stat["md5"] == hashlib.md5(pattern(size)).hexdigest()
    assert azure.bytes("big", size - 1, 1) == pattern(1, size - 1)


def test_an_upload_goes_on_in_another_process(azure, azurite, container, fronted):
    begun = azure.ok("begin", "big", "@2500000", "part-bytes=1000000")
    state = begun["state"]
    azure.ok("part", "big", "@2500000", state, 1000000, 1)
    assert azure("stat", "big")["kind"] == "missing"
    other = fronted()
    parts = [other.ok("part", "big", "@2500000", state, 1000000, n)["etag"] for n in (3, 2)]
    assert parts[1] == hashlib.md5(pattern(1000000, 1000000)).hexdigest()
    other.ok("finish", "big", "@2500000", state, 1000000, "1=x,2=x,3=x")
    assert other.ok("stat", "big")["size"] == 2500000


def test_finishing_twice_is_once(fronted, front):
    t = fronted()
    state = t.ok("begin", "big", "@2000", "part-bytes=1000")["state"]
    for n in (1, 2):
        t.ok("part", "big", "@2000", state, 1000, n)
    lost = []

    def lose(request, answer):
        if "comp=blocklist" in request.query and request.method == "PUT" and not lost:
            lost.append(answer.status)
            return Answer(drop=True)
        return answer

    front.after = lose
    answer = t("finish", "big", "@2000", state, 1000, "1=x,2=x")
    assert answer["kind"] == "retry" and answer["fate_unknown"] and lost == [201]
    t.ok("finish", "big", "@2000", state, 1000, "1=x,2=x")
    assert t.ok("stat", "big")["size"] == 2000


def test_an_upload_that_was_overtaken_says_so(fronted, front):
    """Azure forgets unfinished blocks when the blob is written; Azurite does not."""
    t = fronted()
    state = t.ok("begin", "k", "@2000", "part-bytes=1000", "version=8")["state"]
    for n in (1, 2):
        t.ok("part", "k", "@2000", state, 1000, n)
    t.ok("put", "k", "@10", "version=7")
    front.before = lambda r: refusal(400, "InvalidBlockList") if r.method == "PUT" and "comp=blocklist" in r.query else None
    answer = t("finish", "k", "@2000", state, 1000, "1=x,2=x", "version=8")
    assert answer["kind"] == "missing" and answer["code"] == "InvalidBlockList"
    front.before = None
    assert t.ok("stat", "k")["size"] == 10
    t.ok("abort", "k", state)
    assert t.ok("stat", "k")["size"] == 10
    t.ok("multipart", "k", "@2000", "part-bytes=1000", "version=8")
    assert t.ok("stat", "k")["size"] == 2000


@pytest.mark.parametrize("length", [8, 12, 24, 64])
def test_blocks_that_another_program_left_are_no_poison(azure, azurite, container, length):
    stale = base64.b64encode(b"x" * length).decode()
    azurite.ok("PUT", f"/{container}/sites/one/big", {"comp": "block", "blockid": stale}, None, b"stale bytes")
    azure.ok("multipart", "big", "@2500", "part-bytes=1000")
    assert azure.bytes("big", 0, 2500) == pattern(2500)


def test_ids_too_short_to_use_are_that_objects_matter(azure, azurite, container):
    azurite.ok("PUT", f"/{container}/sites/one/big", {"comp": "block", "blockid": "MDAx"}, None, b"stale bytes")
    answer = azure("multipart", "big", "@2500", "part-bytes=1000")
    assert answer["kind"] == "object" and "a week" in answer["text"]
    azure.ok("put", "big", "@100")


def test_two_uploads_of_one_key_never_mix(azure):
    one = azure.ok("begin", "k", "@2000", "part-bytes=1000", "version=1")["state"]
    two = azure.ok("begin", "k", "@3000", "part-bytes=1000", "version=2")["state"]
    assert one != two
    for n in (1, 2):
        azure.ok("part", "k", "@2000", one, 1000, n)
    for n in (1, 2, 3):
        azure.ok("part", "k", "@3000", two, 1000, n)
    azure.ok("finish", "k", "@3000", two, 1000, "1=x,2=x,3=x", "version=2")
    assert azure.ok("stat", "k")["size"] == 3000
    assert azure("finish", "k", "@2000", one, 1000, "1=x,2=x", "version=1")["kind"] == "missing"


def test_delete_takes_snapshots_along_and_is_idempotent(azure, azurite, container):
    azure.ok("put", "k", "@1")
    azurite.ok("PUT", f"/{container}/sites/one/k", {"comp": "snapshot"})
    azure.ok("remove", "k")
    azure.ok("remove", "k")
    assert azure("stat", "k")["kind"] == "missing"


def test_retag_changes_what_travels_and_no_bytes(fronted, front):
    t = fronted()
    t.ok("put", "k", "@1000", "attr:content-type=a/b", "attr:x-amz-meta-a=1", "tag:a=1", "version=3")
    asked = len(front.requests)
    t.ok("retag", "k", "@1000", "attr:content-type=a/b", "attr:x-amz-meta-a=1", "tag:b=2", "version=4")
    assert [r.method for r in front.requests[asked:]] == ["HEAD", "PUT"]
    t.ok("retag", "k", "@1000", "attr:content-type=c/d", "attr:x-amz-meta-b=2", "version=5")
    stat = t.ok("stat", "k")
    assert stat["attributes"] == {"content-type": "c/d", "x-amz-meta-b": "2"} and stat["tags"] == {} and stat["version"] == 5
    assert stat["md5"] == hashlib.md5(pattern(1000)).hexdigest()
    assert not any(r.body for r in front.requests[asked:])
    assert t("retag", "k", "@1001")["kind"] == "object"
    assert t("retag", "gone", "@1001")["kind"] == "missing"


def test_ranges_end_where_the_blob_ends(azure):
    azure.ok("put", "k", "@100")
    assert azure.bytes("k", 90, 10) == pattern(10, 90)
    assert azure("get", "k", 90, 11, "/dev/null")["kind"] == "object"
    assert azure("get", "k", 100, 1, "/dev/null")["kind"] == "object"
    assert azure("get", "gone", 0, 1, "/dev/null")["kind"] == "missing"


@pytest.mark.parametrize("status, code, kind, says", [
    (409, "BlobImmutableDueToPolicy", "object", "immutability policy"), (412, "LeaseIdMissing", "object", "lease"),
    (409, "SnapshotsPresent", "object", "snapshots"), (409, "BlobArchived", "object", "archive tier"),
    (404, "ContainerNotFound", "person", "create it"), (409, "ContainerBeingDeleted", "retry", "being deleted"),
    (403, "AuthenticationFailed", "person", "mistyped"), (403, "AuthorizationPermissionMismatch", "person", "Storage Blob Data"),
    (403, "AuthorizationFailure", "person", "firewall"), (403, "AccountIsDisabled", "person", "disabled"),
    (403, "KeyBasedAuthenticationNotPermitted", "person", "does not allow account keys"), (503, "ServerBusy", "retry", "fewer"),
    (500, "OperationTimedOut", "retry", "time"), (500, "InternalError", "retry", "inside"), (400, "Md5Mismatch", "retry", "checksum"),
    (418, "Teapot", "object", "Refused by the test."), (502, "", "retry", "502"),
])
def test_refusals_are_sorted(fronted, front, status, code, kind, says):
    t = fronted()
    front.before = lambda request: refusal(status, code, retry_after="7") if code else Answer(status, "<html>")
    answer = t("put", "k", "@1")
    assert answer["kind"] == kind and says in answer["text"], answer
    assert answer["status"] == status and answer["code"] == code
    assert "RequestId" not in answer["text"] and answer["archived"] == (code == "BlobArchived")
    assert answer["slow_down"] == (code in ("ServerBusy", "OperationTimedOut"))
    if code:
        assert answer["retry_after_ms"] == 7000 and answer["request_id"] == "req-1"
    head = t("stat", "k")
    assert head["kind"] == kind, "no body comes with an answer to HEAD"


def test_a_clock_that_is_wrong_is_corrected(fronted, front):
    front.clock_offset = 3600
    t = fronted()
    t.ok("put", "k", "@10")
    assert t.bytes("k", 0, 10) == pattern(10)


def test_the_answer_of_a_put_may_be_lost(fronted, front):
    t = fronted()
    front.after = lambda request, answer: Answer(drop=True)
    answer = t("put", "k", "@10")
    assert answer["kind"] == "retry" and answer["fate_unknown"]
    front.after = None
    assert t.ok("stat", "k")["size"] == 10


STEPS = ["resolve", "connect", "tls", "authenticate", "bucket", "list", "put", "get range", "overwrite", "multipart", "delete"]


def test_the_probe_passes_row_by_row_and_leaves_nothing(azure, azurite, container):
    rows = azure.ok("probe")["rows"]
    assert [r["step"] for r in rows] == STEPS
    assert {r["result"] for r in rows if r["step"] != "tls"} == {"ok"}
    assert "key of account" in rows[3]["text"] and "clock" in rows[3]["text"]
    _, body = azurite.ok("GET", f"/{container}", {"restype": "container", "comp": "list", "include": "uncommittedblobs,snapshots"})
    assert b"<Name>" not in body


def probe_failure(t):
    answer = t("probe")
    assert not answer["ok"]
    failed = [r for r in answer["rows"] if r["result"] == "failed"]
    return failed[0], [r["step"] for r in answer["rows"]]


def test_the_probe_names_what_is_wrong(fronted, front, tool, container):
    row, steps = probe_failure(fronted(bucket="no-such-container"))
    assert row["step"] == "bucket" and "create it" in row["text"] and row["code"] == "ContainerNotFound"
    row, steps = probe_failure(fronted(account_key=base64.b64encode(b"other").decode()))
    assert row["step"] == "authenticate" and row["code"] == "AuthenticationFailed" and steps[-1] == "authenticate"
    assert row["request_id"]
    row, steps = probe_failure(fronted(endpoint="http://127.0.0.1:1/devstoreaccount1"))
    assert row["step"] == "connect"

    def deny(method, comp, code):
        return lambda r: refusal(403, code) if r.method == method and (comp in r.query) else None

    front.before = deny("DELETE", "", "AuthorizationPermissionMismatch")
    row, steps = probe_failure(fronted())
    assert row["step"] == "delete" and "containers/blobs/delete" in row["text"]
    front.before = deny("PUT", "", "AuthorizationPermissionMismatch")
    row, steps = probe_failure(fronted())
    assert row["step"] == "put" and "containers/blobs/write" in row["text"]
    front.before = deny("GET", "comp=list", "AuthorizationPermissionMismatch")
    row, steps = probe_failure(fronted())
    assert row["step"] == "list" and steps[:6] == STEPS[:6]
    front.before = deny("GET", "", "AuthorizationFailure")
    row, steps = probe_failure(fronted())
    assert row["step"] == "bucket" and "firewall" in row["text"]


def test_the_probe_warns_of_what_will_bite(fronted, front):
    def mark(request, answer):
        if request.method == "HEAD" and "restype=container" in request.query:
            answer.headers["x-ms-has-immutability-policy"] = "true"
        if "restype=account" in request.query:
            answer.headers["x-ms-is-hns-enabled"] = "true"
        return answer

    front.after = mark
    rows = fronted().ok("probe")["rows"]
    assert [r["step"] for r in rows if r["result"] == "warning"] == ["lock", "bucket"]


def test_a_sas_token_is_enough_and_its_limits_are_named(azurite, container, tool):
    def sas(permissions, expiry="2099-01-01T00:00:00Z"):
        return tool(provider="azure", endpoint=f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", bucket=container, path="p",
                    sas_token="?" + azure_key.account_sas(ACCOUNT, KEY, permissions, expiry))

    t = sas("rwdlac")
    assert t.ok("probe")["rows"][3]["text"].startswith("As a SAS token")
    t.ok("put", "k ä", "@10")
    t.ok("multipart", "big", "@2500", "part-bytes=1000")
    assert t.keys("") == ["big", "k ä"]
    answer = sas("rl")("put", "k", "@10")
    assert answer["kind"] == "person" and "SAS token" in answer["text"]
    answer = sas("rwdlac", "2020-01-01T00:00:00Z")("put", "k", "@10")
    assert answer["kind"] == "person" and "sig=" not in json.dumps(answer)


def test_nothing_is_touched_outside_the_path(azure, azurite, container):
    put_blob(azurite, f"/{container}/sites/other", b"x")
    azure.ok("put", "k", "@10")
    azure.ok("probe")
    azure.ok("remove", "other")
    _, body = azurite.ok("GET", f"/{container}", {"restype": "container", "comp": "list"})
    assert re.findall(rb"<Name>([^<]*)</Name>", body) == [b"sites/one/k", b"sites/other"]


@pytest.mark.parametrize("fields, says", [
    ({"bucket": "UPPER"}, "bucket:"), ({"bucket": None}, "bucket:"), ({"account_key": "not base64!"}, "account-key:"),
    ({"path": "a/../b"}, "path:"), ({"endpoint": None}, "storage-account:"), ({"cloud_name": "Mars"}, "cloud-name:"),
    ({"account_key": None, "sas_token": "sv=1"}, "sas-token:"), ({"storage_class": "Archive"}, "storage-class:"),
    ({"account_key": None}, "tenant-id:"),
    ({"account_key": None, "endpoint": "http://blob.test/x"}, "endpoint:"), ({"account_key": None, "tenant_id": "t"}, "client-id:"),
    ({"account_key": None, "tenant_id": "t", "client_id": "c"}, "client-secret:"), ({"storage_account": "no_such"}, "storage-account:"),
])
def test_fields_are_checked_before_anything_is_sent(fields, says):
    sentence = open_fails(**{"provider": "azure", "endpoint": "http://127.0.0.1:1/devstoreaccount1", "bucket": "copy",
                             "account_key": KEY, **fields})
    assert sentence.startswith(says), sentence


def test_a_bucket_of_thousands_takes_several_pages(azurite, container, tool):
    """Azurite's own pages, not forced ones."""
    t = tool(provider="azure", endpoint=f"http://127.0.0.1:{azurite.port}/{ACCOUNT}", bucket=container, account_key=KEY)
    names = [f"{i:04}" for i in range(0, 2100)]
    for name in names:
        t.ok("put", name, "@0")
    assert t.keys("") == names
    assert t.keys("", "1999") == names[2000:]


def test_what_stands_between_is_not_taken_for_azure(fronted, front):
    t = fronted()
    t.ok("put", "k", "@10")
    page = "<html><head><title>Sign in</title></head></html>"
    front.before = lambda r: Answer(200, page, {"Content-Type": "text/html"})
    for command in (("list", ""), ("stat", "k"), ("get", "k", 0, 10, "/dev/null"), ("put", "k", "@10"), ("remove", "k")):
        answer = t(*command)
        assert answer["kind"] == "retry" and ("not Azure" in answer["text"] or command[0] == "get"), (command, answer)
        assert answer["fate_unknown"] == (command[0] in ("put", "remove"))
    front.before = lambda r: Answer(200, page, {"x-ms-request-id": "1"})
    assert t("list", "")["kind"] == "retry"
    for status in (401, 403, 404, 410):
        front.before = lambda r: Answer(status, page)
        for command in (("list", ""), ("stat", "k"), ("remove", "k")):
            assert t(*command)["kind"] == "person", (status, command)
    front.before = None
    assert t.keys("") == ["k"]


@pytest.mark.parametrize("at", [0, 1, 200, 700])
def test_an_answer_that_is_cut_is_no_answer(fronted, front, at):
    t = fronted()
    for key in ("a", "b"):
        t.ok("put", key, "@2000")

    def cut(request, answer):
        answer.cut_at = at
        return answer

    front.after = cut
    assert t("list", "")["kind"] == "retry"
    assert t("get", "a", 0, 2000, "/dev/null")["kind"] == "retry"
    front.after = None
    assert t.keys("") == ["a", "b"]


def test_a_range_that_was_not_heeded_is_not_believed(fronted, front):
    t = fronted()
    t.ok("put", "k", "@100")

    def whole(request, answer):
        if request.method == "GET":
            answer.status, answer.body = 200, pattern(50)
            answer.headers.pop("content-length", None)
        return answer

    front.after = whole
    assert t("get", "k", 50, 50, "/dev/null")["kind"] == "retry"


def test_a_marker_that_azure_forgot_is_no_end(fronted, front):
    t = fronted()
    for i in range(6):
        t.ok("put", f"k{i}", "@1")
    front.page = 2
    t.keys("", "", 5)
    front.before = lambda r: front.requests[-1] is r and len(front.requests) == mark and refusal(400, "OutOfRangeInput") or None
    mark = len(front.requests) + 1
    assert t.keys("", "k4") == ["k5"]


def test_azurites_own_port_works_without_a_path_of_the_endpoint(azurite, container, tool):
    """The account in the host's name, as in a cloud."""
    host = f"{ACCOUNT}.blob.localhost"
    t = tool(provider="azure", endpoint=f"http://{host}:{azurite.port}", bucket=container, account_key=KEY,
             resolve=f"{host}:{azurite.port}:127.0.0.1")
    t.ok("put", "k", "@10")
    assert t.keys("") == ["k"]
    t = tool(provider="azure", endpoint=f"http://127.0.0.1:{azurite.port}", storage_account=ACCOUNT, bucket=container, account_key=KEY)
    assert t.keys("") == ["k"]
