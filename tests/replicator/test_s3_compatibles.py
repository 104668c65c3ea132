"""Stores that speak S3 with an accent: what breaks each, as its documents and its users' reports say, is refused by a strict
fake, and holdfast sends it at most once, to learn.

None of them takes checksum headers or trailers, aws-chunked bodies, ACL headers or unequal parts from us: the fake refuses
these always (KNOWN_HEADERS in s3_chaos.py).
"""

import hashlib

import pytest

from desttool import pattern
from s3_chaos import S3Chaos

BUCKET_RULES = {"lifecycle", "versioning", "object-lock"}
STORES = {
    # No tags at all (501), part ETags that are no MD5, equal parts only.
    "Cloudflare R2": {"tagging": "refuse", "part_etags": "long", "missing": {"tagging", "versioning"}},
    # Tags are an invalid header (400), conditions are not implemented.
    "Backblaze B2": {"tagging": "invalid", "conditions": "refuse", "missing": {"tagging"}},
    # Conditions on writes are ignored.
    "Wasabi": {"conditions": "ignore"},
    # Most headers of x-amz- are ignored, and what is not there is 501.
    "Garage": {"tagging": "drop", "conditions": "ignore", "missing": {"tagging"} | BUCKET_RULES},
    # Conditions of S3 are for reads alone; no tags; rules are not in S3's words.
    "Google's XML door": {"tagging": "drop", "conditions": "ignore", "missing": {"tagging"} | BUCKET_RULES},
    # ETags that are no MD5, and an older listing without encoding.
    "SeaweedFS, older": {"etags": "random", "conditions": "ignore", "listing": "v1", "encoding": "ignore"},
    "an old gateway": {"listing": "v1-strict", "encoding": "refuse", "content_md5": "refuse", "tagging": "refuse",
                       "conditions": "refuse", "missing": {"tagging"} | BUCKET_RULES},
}


@pytest.fixture(params=STORES)
def store(request):
    with S3Chaos() as fake:
        for name, value in STORES[request.param].items():
            setattr(fake, name, value)
        yield fake


def open_at(fake, tool):
    return tool(provider="s3", endpoint=fake.url, region="us-east-1", bucket=fake.bucket, path="p", access_key_id=fake.ACCESS_KEY,
                secret_access_key=fake.SECRET_KEY)


def everything(fake, t, name, size=100):
    t.ok("put", name + "a b+%\u00e9", "@100", "attr:x-amz-meta-a=b", "attr:content-type=text/plain", "tag:k=v")
    t.ok("put", name + "whole", "@2000")
    t.ok("multipart", name + "parts", f"@{size}", "part-bytes=5242880", "tag:k=v")
    assert fake.objects[f"p/{name}parts".encode()]["body"] == pattern(size)
    st = t.ok("stat", name + "a b+%\u00e9")
    assert (st["tags"], st["attributes"]["x-amz-meta-a"]) == ({"k": "v"}, "b")
    assert st["original_etag"] == hashlib.md5(pattern(100)).hexdigest()
    assert t.keys(name) == sorted([name + "a b+%\u00e9", name + "whole", name + "parts"], key=str.encode)
    assert t.bytes(name + "whole", 1000, 50) == pattern(50, 1000)
    t.ok("remove", name + "whole")


def test_all_works_at_each_and_nothing_is_sent_twice_that_breaks_it(store, tool):
    t = open_at(store, tool)
    everything(store, t, "one/", 5300000)
    learnt = len(store.refused)
    everything(store, t, "two/")
    assert store.refused[learnt:] == []
    tried = [what for _, _, what in store.refused[:learnt]]
    assert all(tried.count(what) <= 2 for what in tried), f"each was tried to learn, and not again: {store.refused}"


def test_what_the_probe_learns_is_remembered(store, tool):
    t = open_at(store, tool)
    answer = t.ok("probe")
    assert not store.objects and not store.uploads
    assert all(row["result"] in ("ok", "warning", "skipped") for row in answer["rows"]), answer["rows"]
    everything(store, t, "one/")
    learnt = len(store.refused)
    t.ok("put", "two", "@5", "tag:k=v")
    t.ok("put", "claim", "@5", "if-absent=1")
    assert t("put", "claim", "@6", "if-absent=1")["kind"] == "exists"
    assert store.refused[learnt:] == []
