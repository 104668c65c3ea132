"""boto3: odd keys, exact byte order, delimiters, and listings in pages of every size."""

import random

import pytest

from conftest import bucket_name
from test_boto3_objects import refused

ODD = ["/", "//", "/leading", "a//b", ".", "..", "./a", "../a", "a/../b", "a/./b", "a/", "a//", " ", " a ", "a b", "a+b", "a%20b",
       "a%2Fb", "%", "a?b", "a#b", "a&b", "a=b", "a;b", "a:b", "a,b", "a@b", "a$b", "a!b", "a*b", "a'b", 'a"b', "a(b)",
       "a[b]", "a{b}", "a|b", "a\\b", "a^b", "a`b", "a~b", "a<b>", "\x01", "a\tb", "a\nb", "a\rb", "a\x1fb", "a\x7fb", "ä",
       "日本語", "🚀", "e\u0301", "é", "\ufffd", "\u2028", "\U0010ffff", "-", "--help", "null", "x" * 1024, "é" * 512,
       "日" * 341, "a" * 511, "a" * 512, "a" * 510 + "é", "🚀" * 256]


def in_byte_order(keys):
    return sorted(keys, key=lambda k: k.encode())


@pytest.fixture(scope="module")
def oddly(s3):
    """A bucket with every odd key, each holding its own name."""
    name = bucket_name()
    s3.create_bucket(Bucket=name)
    shuffled = ODD[:]
    random.Random(1).shuffle(shuffled)
    for key in shuffled:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


@pytest.mark.parametrize("key", ODD, ids=lambda k: ascii(k)[1:-1][:24])
def test_an_odd_key_names_just_its_object(s3, oddly, key):
    assert s3.get_object(Bucket=oddly, Key=key)["Body"].read() == key.encode()
    assert s3.head_object(Bucket=oddly, Key=key)["ContentLength"] == len(key.encode())


def pages(s3, bucket, **how):
    """Every page of a V2 listing, followed by its tokens."""
    token = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, **how, **token)
        assert page["KeyCount"] == len(page.get("Contents", [])) + len(page.get("CommonPrefixes", []))
        yield page
        if not page["IsTruncated"]:
            assert "NextContinuationToken" not in page
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def names(page):
    return [o["Key"] for o in page.get("Contents", [])]


def prefixes(page):
    return [p["Prefix"] for p in page.get("CommonPrefixes", [])]


def test_keys_are_listed_in_exact_byte_order(s3, oddly):
    page = s3.list_objects_v2(Bucket=oddly)
    assert names(page) == in_byte_order(ODD)
    sizes = {o["Key"]: o["Size"] for o in page["Contents"]}
    assert sizes == {k: len(k.encode()) for k in ODD}
    assert names(s3.list_objects(Bucket=oddly)) == in_byte_order(ODD)


@pytest.mark.parametrize("size", [*range(1, 8), 20, len(ODD) - 1, len(ODD), len(ODD) + 1, 1000])
def test_pages_of_any_size_make_the_same_listing(s3, oddly, size):
    seen = []
    for page in pages(s3, oddly, MaxKeys=size):
        assert len(names(page)) <= size and page["MaxKeys"] == size
        seen += names(page)
    assert seen == in_byte_order(ODD)


def test_a_listing_v1_goes_on_after_its_marker(s3, oddly):
    for size in (1, 3, 1000):
        seen, marker = [], ""
        while True:
            page = s3.list_objects(Bucket=oddly, MaxKeys=size, Marker=marker)
            seen += names(page)
            if not page["IsTruncated"]:
                break
            marker = page.get("NextMarker") or names(page)[-1]
        assert seen == in_byte_order(ODD), size


def test_a_listing_starts_after_any_key(s3, oddly):
    ordered = in_byte_order(ODD)
    for i, key in enumerate(ordered):
        expected = ordered[i + 1:]
        assert names(s3.list_objects_v2(Bucket=oddly, StartAfter=key)) == expected, key
    assert names(s3.list_objects_v2(Bucket=oddly, StartAfter="a" * 600)) == [k for k in ordered if k.encode() > b"a" * 600]


def test_prefixes_and_delimiters_of_odd_keys(s3, oddly):
    for prefix in ("", "a", "a/", "/", "é", "x" * 600, "a" * 512, "none"):
        for delimiter in ("/", "a", "é", "//", "xx", "%"):
            expected_keys, expected_prefixes = [], []
            for key in in_byte_order(ODD):
                if not key.startswith(prefix):
                    continue
                cut = key.find(delimiter, len(prefix))
                if cut < 0:
                    expected_keys.append(key)
                elif key[:cut + len(delimiter)] not in expected_prefixes:
                    expected_prefixes.append(key[:cut + len(delimiter)])
            for size in (1, 3, 1000):
                got_keys, got_prefixes = [], []
                for page in pages(s3, oddly, Prefix=prefix, Delimiter=delimiter, MaxKeys=size):
                    got_keys += names(page)
                    got_prefixes += prefixes(page)
                assert (got_keys, got_prefixes) == (expected_keys, expected_prefixes), (prefix, delimiter, size)


def test_names_are_url_encoded_on_request(raw, s3, oddly):
    from urllib.parse import unquote
    answer = raw.get(f"/{oddly}", query=[("list-type", "2"), ("encoding-type", "url"), ("delimiter", "#"), ("prefix", "a")])
    root = answer.xml()
    assert root.findtext("EncodingType") == "url"
    got = [unquote(e.text) for e in root.iter("Key")]
    assert got == [k for k in in_byte_order(ODD) if k.startswith("a") and "#" not in k]
    assert [unquote(e.findtext("Prefix")) for e in root.iter("CommonPrefixes")] == ["a#"]
    assert root.findtext("Delimiter") == "%23"
    assert all(e.text == e.text.strip() and " " not in e.text for e in root.iter("Key"))


def test_a_listing_with_nothing_asked_for_is_empty_and_not_truncated(s3, oddly):
    page = s3.list_objects_v2(Bucket=oddly, MaxKeys=0)
    assert names(page) == [] and page["IsTruncated"] is False


def test_wrong_arguments_of_a_listing_are_refused(s3, oddly):
    refused(400, "InvalidArgument", s3.list_objects_v2, Bucket=oddly, MaxKeys=-1)
    refused(400, "InvalidArgument", s3.list_objects_v2, Bucket=oddly, ContinuationToken="not one of ours")


def test_more_than_a_thousand_keys_come_in_pages_of_a_thousand(s3, raw, bucket):
    keys = [f"{i:04}" for i in range(1003)]
    with raw.connect() as c:
        for key in keys:
            c.send(raw.build("PUT", f"/{bucket}/{key}"))
            assert c.read().status == 200
    found = list(pages(s3, bucket, MaxKeys=5000))
    assert [len(names(p)) for p in found] == [1000, 3] and found[0]["MaxKeys"] == 1000
    assert [k for p in found for k in names(p)] == keys


def test_the_owner_is_told_on_request(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    assert s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"]


def test_a_key_above_1024_bytes_is_refused(s3, bucket):
    refused(400, "KeyTooLongError", s3.put_object, Bucket=bucket, Key="x" * 1025, Body=b"")
    refused(400, "KeyTooLongError", s3.put_object, Bucket=bucket, Key="é" * 512 + "x", Body=b"")


def test_random_keys_over_the_index_limit_stay_in_order(s3, raw, bucket):
    """Keys that share long beginnings and differ around byte 511, where an index that cuts names would mix them up."""
    source = random.Random(11)
    keys = set()
    while len(keys) < 150:
        length = source.choice([505, 509, 510, 511, 512, 513, 520, 1000, 1023])
        tail = "".join(source.choice("ab/\x7f\x01") for _ in range(source.randrange(1, 10)))
        keys.add(("k" * length + tail)[:1024])
    with raw.connect() as c:
        for key in keys:
            c.send(raw.build("PUT", f"/{bucket}/{key}", body=key.encode()[-10:]))
            assert c.read().status == 200
    assert names(s3.list_objects_v2(Bucket=bucket)) == in_byte_order(keys)
    gone = set(source.sample(sorted(keys), 70))
    for key in gone:
        s3.delete_object(Bucket=bucket, Key=key)
    seen = [k for page in pages(s3, bucket, MaxKeys=7) for k in names(page)]
    assert seen == in_byte_order(keys - gone)
    for key in keys - gone:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()[-10:]
