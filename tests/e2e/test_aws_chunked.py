"""aws-chunked bodies in all their forms, made by our own signer: what is stored is the payload, never the envelope."""

import base64
import random
import zlib

import pytest

import s3raw
from conftest import bucket_name

BODY = random.Random(1).randbytes(200_003)
SIGNED, SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.fixture(scope="module")
def place(s3):
    name = bucket_name()
    s3.create_bucket(Bucket=name)
    return name


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def cut(body, size):
    return [body[i:i + size] for i in range(0, len(body), size)]


def unsigned(pieces, trailer):
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n"
    return out + "".join(f"{n}:{v}\r\n" for n, v in trailer).encode() + b"\r\n"


def put(raw, path, pieces, form, trailer=None, headers=(), decoded=None, mangle=lambda b: b, length="exact", query=()):
    """Sends pieces in the given form and returns the answer; mangle may spoil the envelope after it was signed."""
    when = raw.signer.now()
    decoded = sum(map(len, pieces)) if decoded is None else decoded
    headers = [*headers, ("x-amz-decoded-content-length", str(decoded))]
    if trailer is not None:
        headers.append(("x-amz-trailer", ",".join(n for n, _ in trailer)))
    signed = raw.signer.sign("PUT", path, list(query), [("host", raw.host), *headers], form, when)
    if form == UNSIGNED_TRAILER:
        body = unsigned(pieces, trailer)
    else:
        seed = signed[-1][1].rpartition("Signature=")[2]
        body = raw.signer.chunks(seed, when, pieces, trailer)
    body = mangle(body)
    signed.append(("Content-Length", str(len(body))) if length == "exact" else ("Transfer-Encoding", "chunked"))
    if length != "exact":
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in cut(body, 4097)) + b"0\r\n\r\n"
    target = s3raw.quote(path, "/-._~") + ("?" + s3raw.canonical_query(list(query)) if query else "")
    with raw.connect() as c:
        try:
            c.send(s3raw.head("PUT", target, signed) + body)
        except ConnectionError:
            pass  # refused before all of it was read; the answer is still there
        return c.read()


FORMS = {"signed": (SIGNED, None), "signed with trailer": (SIGNED_TRAILER, "crc32"), "unsigned with trailer": (UNSIGNED_TRAILER, "crc32")}


@pytest.mark.parametrize("length", ["exact", "chunked"])
@pytest.mark.parametrize("size", [8192, 65536, 65537, 1 << 20, 200_003])
@pytest.mark.parametrize("form", FORMS)
def test_the_payload_is_stored_without_its_envelope(raw, place, form, size, length):
    kind, sum_name = FORMS[form]
    trailer = [("x-amz-checksum-crc32", crc32(BODY))] if sum_name else None
    answer = put(raw, f"/{place}/k", cut(BODY, size), kind, trailer, [("Content-Encoding", "aws-chunked,gzip")], length=length)
    assert answer.status == 200, answer
    got = raw.get(f"/{place}/k", headers=[("x-amz-checksum-mode", "ENABLED")])
    assert got.body == BODY and got.get("content-encoding") == "gzip"
    if sum_name:
        assert got.get("x-amz-checksum-crc32") == crc32(BODY)


@pytest.mark.parametrize("encoding,kept", [("aws-chunked", None), ("aws-chunked, gzip", "gzip"), ("gzip,aws-chunked", "gzip"),
                                           ("gzip", "gzip"), (None, None), ("AWS-Chunked", None)])
def test_aws_chunked_is_taken_out_of_the_content_encoding(raw, place, encoding, kept):
    headers = [("Content-Encoding", encoding)] if encoding else []
    assert put(raw, f"/{place}/e", [b"x"], SIGNED, headers=headers).status == 200
    got = raw.get(f"/{place}/e")
    assert got.body == b"x" and got.get("content-encoding") == kept


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_payload(raw, place, form):
    kind, sum_name = FORMS[form]
    trailer = [("x-amz-checksum-crc32", crc32(b""))] if sum_name else None
    assert put(raw, f"/{place}/empty", [], kind, trailer).status == 200
    assert raw.get(f"/{place}/empty").body == b""


def test_chunks_of_one_byte(raw, place):
    assert put(raw, f"/{place}/tiny", cut(BODY[:500], 1), SIGNED).status == 200
    assert raw.get(f"/{place}/tiny").body == BODY[:500]


def refused(raw, place, status, codes, *args, **how):
    key = f"/{place}/refused"
    answer = put(raw, key, *args, **how)
    assert answer.status == status and answer.code in codes, answer
    assert raw.request("HEAD", key).status == 404


def test_a_changed_chunk_is_refused(raw, place):
    middle = BODY[100_000:100_010]
    refused(raw, place, 403, ["SignatureDoesNotMatch"], cut(BODY, 65536), SIGNED,
            mangle=lambda b: b.replace(middle, b"0123456789"))


def test_a_wrong_chunk_signature_is_refused(raw, place):
    def spoil(body):
        at = body.index(b"=") + 1
        return body[:at] + (b"1" if body[at:at + 1] == b"0" else b"0") + body[at + 1:]
    refused(raw, place, 403, ["SignatureDoesNotMatch"], [BODY], SIGNED, mangle=spoil)


def test_swapped_chunks_are_refused(raw, place):
    def swap(body):
        one = body.index(b"\r\n") + 2 + 65 + 2
        return body[one:2 * one] + body[:one] + body[2 * one:]
    refused(raw, place, 403, ["SignatureDoesNotMatch"], cut(BODY[:130], 65), SIGNED, mangle=swap)


def test_a_wrong_checksum_in_the_trailer_is_refused(raw, place):
    for kind in (SIGNED_TRAILER, UNSIGNED_TRAILER):
        refused(raw, place, 400, ["BadDigest"], [BODY], kind, [("x-amz-checksum-crc32", crc32(b"other"))])


def test_a_changed_trailer_is_refused(raw, place):
    right = crc32(BODY).encode()
    refused(raw, place, 403, ["SignatureDoesNotMatch"], [BODY], SIGNED_TRAILER, [("x-amz-checksum-crc32", crc32(BODY))],
            mangle=lambda b: b.replace(right, crc32(b"other").encode()))


def test_an_announced_trailer_that_does_not_come_is_refused(raw, place):
    refused(raw, place, 400, ["MalformedTrailerError", "InvalidRequest", "IncompleteBody"], [BODY], UNSIGNED_TRAILER,
            [("x-amz-checksum-crc32", crc32(BODY))],
            mangle=lambda b: b[:b.rindex(b"x-amz-checksum")] + b"\r\n")


def test_a_decoded_length_that_is_not_the_payloads_is_refused(raw, place):
    for decoded in (len(BODY) - 1, len(BODY) + 1):
        refused(raw, place, 400, ["IncompleteBody", "InvalidRequest", "InvalidArgument"], [BODY], SIGNED, decoded=decoded)


def test_a_missing_last_chunk_is_refused(raw, place):
    refused(raw, place, 400, ["IncompleteBody", "InvalidRequest"], [BODY], SIGNED, mangle=lambda b: b[:b.rindex(b"0;chunk")])


@pytest.mark.parametrize("line", [b"zz;chunk-signature=", b"-1;chunk-signature=", b"fffffffffffffffff;chunk-signature=", b"\r\n"])
def test_a_broken_chunk_line_is_refused(raw, place, line):
    refused(raw, place, 400, ["InvalidChunkSizeError", "InvalidRequest", "IncompleteBody", "MalformedTrailerError"], [b"x" * 100],
            SIGNED, mangle=lambda b: line + b[b.index(b"=") + 1:])


def test_a_part_may_be_sent_in_any_form(raw, s3, place):
    upload = s3.create_multipart_upload(Bucket=place, Key="m", ChecksumAlgorithm="CRC32")["UploadId"]
    done = []
    bodies = [random.Random(i).randbytes(5 << 20) for i in range(3)]
    for number, (kind, sum_name) in enumerate(FORMS.values(), 1):
        body = bodies[number - 1]
        trailer = [("x-amz-checksum-crc32", crc32(body))] if sum_name else None
        headers = [] if sum_name else [("x-amz-checksum-crc32", crc32(body))]
        answer = put(raw, f"/{place}/m", cut(body, 65536), kind, trailer, headers,
                     query=[("partNumber", str(number)), ("uploadId", upload)])
        assert answer.status == 200 and answer.get("x-amz-checksum-crc32") == crc32(body), answer
        done.append({"PartNumber": number, "ETag": answer.get("etag"), "ChecksumCRC32": crc32(body)})
    s3.complete_multipart_upload(Bucket=place, Key="m", UploadId=upload, MultipartUpload={"Parts": done})
    assert s3.get_object(Bucket=place, Key="m")["Body"].read() == b"".join(bodies)
