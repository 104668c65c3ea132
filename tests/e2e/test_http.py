"""HTTP/1.1 on a bare socket: framing, what must be refused and how, and authentication at its edges."""

import datetime
import hashlib
import socket
import time
import urllib.parse

import pytest

import s3raw
from conftest import bucket_name

HEAD_SECONDS = 2


@pytest.fixture(scope="module")
def place(s3):
    """A bucket with one object, for tests that only read."""
    name = bucket_name()
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"0123456789")
    return name


def closes(connection, method="GET"):
    """The last answer on a connection that the server then closes."""
    answer = connection.read(method)
    assert connection.at_end(), f"still open after {answer}"
    return answer


# Keep-alive and pipelining


def test_one_connection_serves_many_requests(raw, place):
    with raw.connect() as c:
        for i in range(50):
            c.send(raw.build("PUT", f"/{place}/n{i}", body=b"x" * i))
            assert c.read().status == 200
            c.send(raw.build("GET", f"/{place}/n{i}"))
            assert c.read().body == b"x" * i
            c.send(raw.build("HEAD", f"/{place}/none"))
            assert c.read("HEAD").status == 404


def test_pipelined_requests_are_answered_in_order(raw, place):
    with raw.connect() as c:
        burst = b"".join(raw.build("PUT", f"/{place}/p{i}", body=b"%d" % i) + raw.build("GET", f"/{place}/p{i}")
                         + raw.build("HEAD", f"/{place}/p{i}") for i in range(40))
        c.send(burst)
        for i in range(40):
            assert c.read().status == 200
            assert c.read().body == b"%d" % i
            assert c.read("HEAD").get("content-length") == str(len(str(i)))


def test_a_request_may_come_a_byte_at_a_time(raw, place):
    with raw.connect() as c:
        for byte in raw.build("PUT", f"/{place}/slowly", body=b"a body in bytes"):
            c.send(bytes([byte]))
        assert c.read().status == 200
        c.send(raw.build("GET", f"/{place}/slowly"))
        assert c.read().body == b"a body in bytes"


def test_connection_close_is_honoured(raw, place):
    with raw.connect() as c:
        c.send(raw.build("GET", f"/{place}/k", headers=[("Connection", "close")]))
        answer = closes(c)
        assert answer.status == 200 and (answer.get("connection") or "").lower() == "close"


def test_http_1_0_gets_an_answer_and_a_close(raw, place):
    with raw.connect() as c:
        c.send(raw.build("GET", f"/{place}/k").replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
        assert closes(c).status in (200, 505)


def test_a_refused_request_leaves_the_connection_in_step(raw, place):
    """After an error whose body was small the next request is understood, or the connection is closed: never confused."""
    with raw.connect() as c:
        c.send(raw.build("PUT", f"/{bucket_name()}/k", body=b"GET / HTTP/1.1\r\n\r\n"))
        assert c.read().code == "NoSuchBucket"
        try:
            c.send(raw.build("GET", f"/{place}/k"))
            answer = c.read()
        except (s3raw.Closed, ConnectionError):
            return
        assert answer.body == b"0123456789"


def test_every_answer_has_a_request_id_a_date_and_a_length(raw, place):
    for answer in (raw.get(f"/{place}/k"), raw.get(f"/{place}/none"), raw.get(f"/{place}")):
        assert answer.get("x-amz-request-id") and answer.get("date")
        assert answer.get("content-length") is not None or answer.get("transfer-encoding") == "chunked"
    ids = {raw.get(f"/{place}/k").get("x-amz-request-id") for _ in range(5)}
    assert len(ids) == 5


def test_an_error_document_has_what_aws_documents(raw, place):
    answer = raw.get(f"/{place}/no such <key>&")
    root = answer.xml()
    assert answer.get("content-type") == "application/xml"
    assert root.tag == "Error" and root.findtext("Code") == "NoSuchKey" and root.findtext("Message")
    assert root.findtext("RequestId") == answer.get("x-amz-request-id")
    assert "no such <key>&" in (root.findtext("Resource") or "") + (root.findtext("Key") or "")


# HEAD


def test_head_never_has_a_body(raw, place):
    with raw.connect() as c:
        for path, query, status in ((f"/{place}/k", (), 200), (f"/{place}/none", (), 404), (f"/{place}", (), 200),
                                    (f"/{bucket_name()}", (), 404), (f"/{place}/k", [("partNumber", "9")], 416)):
            c.send(raw.build("HEAD", path, query=query) + raw.build("GET", f"/{place}/k"))
            assert c.read("HEAD").status == status
            assert c.read().body == b"0123456789"


# Expect: 100-continue


def expecting(raw, path, body, **how):
    whole = raw.build("PUT", path, body=body, headers=[("Expect", "100-continue"), *how.pop("headers", ())], **how)
    return whole[:len(whole) - len(body)]


def test_continue_comes_before_the_body(raw, place):
    body = b"expected"
    with raw.connect() as c:
        c.send(expecting(raw, f"/{place}/expect", body))
        assert c.read().status == 100
        c.send(body)
        assert c.read().status == 200
        c.send(raw.build("GET", f"/{place}/expect"))
        assert c.read().body == body


@pytest.mark.parametrize("why", ["signature", "bucket", "length", "access key"])
def test_what_is_refused_anyway_is_refused_without_continue(server, raw, place, why):
    body = b"x" * 1000
    if why == "signature":
        other, path, code = s3raw.Client(server.address, server.host, server.access_key, "wrong"), f"/{place}/e", "SignatureDoesNotMatch"
    elif why == "access key":
        other, path, code = s3raw.Client(server.address, server.host, "nobody", "wrong"), f"/{place}/e", "InvalidAccessKeyId"
    elif why == "bucket":
        other, path, code = raw, f"/{bucket_name()}/e", "NoSuchBucket"
    else:
        other, path, code = raw, f"/{place}/e", "EntityTooLarge"
    head = expecting(other, path, body)
    if why == "length":
        head = head.replace(b"Content-Length: 1000", b"Content-Length: %d" % (6 << 40))
    with other.connect() as c:
        c.send(head)
        answer = c.read()
        assert answer.status != 100 and answer.code == code, answer


def test_an_unknown_expectation_is_refused(raw, place):
    with raw.connect() as c:
        c.send(raw.build("PUT", f"/{place}/e", body=b"x", headers=[("Expect", "miracles")]))
        assert c.read().status == 417


# Body framing


def test_a_chunked_body_is_stored_whole(raw, place):
    body = b"".join(b"%x;ext=1\r\n%s\r\n" % (n, b"c" * n) for n in (1, 16, 70000, 3)) + b"0\r\nX-Trailer: ignored\r\n\r\n"
    with raw.connect() as c:
        c.send(raw.build("PUT", f"/{place}/chunked", headers=[("Transfer-Encoding", "chunked")], payload=s3raw.UNSIGNED) + body)
        assert c.read().status == 200
        c.send(raw.build("GET", f"/{place}/chunked"))
        assert c.read().body == b"c" * 70020


def test_a_put_without_any_length_is_refused(raw, place):
    whole = raw.build("PUT", f"/{place}/nolength", body=b"")
    with raw.connect() as c:
        c.send(whole.replace(b"Content-Length: 0\r\n", b""))
        answer = c.read()
        assert (answer.status, answer.code) == (411, "MissingContentLength"), answer


SMUGGLING = {
    "two lengths": [("Content-Length", "4"), ("Content-Length", "5")],
    "two lengths in one": [("Content-Length", "4, 5")],
    "length and chunked": [("Content-Length", "4"), ("Transfer-Encoding", "chunked")],
    "chunked twice": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
    "an unknown coding": [("Transfer-Encoding", "gzip, chunked")],
    "chunked not last": [("Transfer-Encoding", "chunked, identity")],
    "an odd chunked": [("Transfer-Encoding", "\x0bchunked")],
    "a negative length": [("Content-Length", "-4")],
    "a plus length": [("Content-Length", "+4")],
    "a hex length": [("Content-Length", "0x4")],
    "a spaced length": [("Content-Length", "4 4")],
    "an empty length": [("Content-Length", "")],
    "a giant length": [("Content-Length", "99999999999999999999999")],
}


@pytest.mark.parametrize("headers", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_ambiguous_framing_is_refused_and_closed(raw, place, headers):
    with raw.connect() as c:
        c.send(raw.build("PUT", f"/{place}/smuggled", headers=headers, payload=s3raw.UNSIGNED)
               + b"0\r\n\r\n" + raw.build("PUT", f"/{place}/second", body=b"inside"))
        answer = closes(c)
        assert answer.status in (400, 501), answer
    assert raw.request("HEAD", f"/{place}/smuggled").status == 404
    assert raw.request("HEAD", f"/{place}/second").status == 404


HEADS = {
    "bare LF": lambda h: h.replace(b"\r\n", b"\n"),
    "one bare LF": lambda h: h.replace(b"\r\nhost", b"\nhost", 1),
    "bare CR": lambda h: h.replace(b"\r\n\r\n", b"\r\nX: a\rb\r\n\r\n"),
    "folded line": lambda h: h.replace(b"\r\n\r\n", b"\r\nX: a\r\n b\r\n\r\n"),
    "folded by tab": lambda h: h.replace(b"\r\n\r\n", b"\r\nX: a\r\n\tb\r\n\r\n"),
    "space before colon": lambda h: h.replace(b"\r\n\r\n", b"\r\nX : a\r\n\r\n"),
    "space before name": lambda h: h.replace(b"\r\n", b"\r\n X: a\r\n", 1),
    "NUL in a value": lambda h: h.replace(b"\r\n\r\n", b"\r\nX: a\0b\r\n\r\n"),
    "NUL in a name": lambda h: h.replace(b"\r\n\r\n", b"\r\nX\0: a\r\n\r\n"),
    "NUL in the target": lambda h: h.replace(b"/k HTTP", b"/k\0 HTTP"),
    "no colon": lambda h: h.replace(b"\r\n\r\n", b"\r\nnonsense\r\n\r\n"),
    "empty name": lambda h: h.replace(b"\r\n\r\n", b"\r\n: a\r\n\r\n"),
    "control in a value": lambda h: h.replace(b"\r\n\r\n", b"\r\nX: a\x01b\r\n\r\n"),
    "two spaces after the method": lambda h: h.replace(b"GET ", b"GET  "),
    "a tab after the method": lambda h: h.replace(b"GET ", b"GET\t"),
    "no version": lambda h: h.replace(b" HTTP/1.1", b"", 1),
    "version 2.0": lambda h: h.replace(b"HTTP/1.1", b"HTTP/2.0", 1),
    "lower-case http": lambda h: h.replace(b"HTTP/1.1", b"http/1.1", 1),
    "a space in the target": lambda h: h.replace(b"/k HTTP", b"/k k HTTP"),
    "two hosts": lambda h: h.replace(b"\r\n\r\n", b"\r\nHost: other\r\n\r\n"),
    "no host": lambda h: b"\r\n".join(line for line in h.split(b"\r\n") if not line.lower().startswith(b"host:")),
    "a target without a slash": lambda h: h.replace(b"GET /", b"GET "),
    "nothing like HTTP": lambda h: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + h,
}


@pytest.mark.parametrize("change", HEADS.values(), ids=HEADS.keys())
def test_a_malformed_head_is_refused_and_closed(raw, place, change):
    with raw.connect() as c:
        c.send(change(raw.build("GET", f"/{place}/k")) + raw.build("GET", f"/{place}/k"))
        try:
            answer = closes(c)
        except s3raw.Closed:
            return
        assert answer.status in (400, 505), answer


CHUNKS = {"a letter": b"g\r\n", "minus": b"-1\r\n", "plus": b"+1\r\na\r\n", "empty": b"\r\n", "0x": b"0x1\r\na\r\n",
          "giant": b"fffffffffffffffff\r\na", "wraps": b"10000000000000001\r\na\r\n", "bare LF": b"1\na\n0\n\n",
          "no CRLF after data": b"1\r\nab\r\n", "space": b" 1\r\na\r\n", "NUL": b"1\0\r\na\r\n",
          "long extension": b"1;" + b"e" * 100_000 + b"\r\na\r\n"}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
def test_a_bad_chunk_is_refused_closed_and_stores_nothing(raw, place, body):
    with raw.connect() as c:
        c.send(raw.build("PUT", f"/{place}/badchunk", headers=[("Transfer-Encoding", "chunked")], payload=s3raw.UNSIGNED))
        try:
            c.send(body + b"0\r\n\r\n")
            answer = closes(c)
            assert answer.status == 400, answer
        except (s3raw.Closed, ConnectionError):
            pass
    assert raw.request("HEAD", f"/{place}/badchunk").status == 404


def test_a_body_that_ends_early_stores_nothing(raw, place):
    for cut in (0, 1, 70_000):
        whole = raw.build("PUT", f"/{place}/cut", body=b"x" * 100_000, payload=s3raw.UNSIGNED)
        with raw.connect() as c:
            c.send(whole[:len(whole) - 100_000 + cut])
            c.socket.shutdown(socket.SHUT_WR)
            try:
                assert c.read().status in (400, 408)
            except (s3raw.Closed, ConnectionError):
                pass
    assert raw.request("HEAD", f"/{place}/cut").status == 404


# Limits


def test_an_oversize_head_is_refused(raw, place):
    for extra in ([("x-amz-meta-big", "x" * 300_000)], [(f"X-{i}", "y") for i in range(5000)]):
        with raw.connect() as c:
            try:
                c.send(raw.build("GET", f"/{place}/k", headers=extra))
                answer = closes(c)
            except (s3raw.Closed, ConnectionError):
                continue
            assert answer.status in (400, 414, 431), answer
    with raw.connect() as c:
        try:
            c.send(b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n")
            assert closes(c).status in (400, 414, 431)
        except (s3raw.Closed, ConnectionError):
            pass


def test_a_slow_head_is_cut_off_in_time(new_server):
    server = new_server(args=["--head-timeout", f"{HEAD_SECONDS}s"]).start()
    with s3raw.Connection(server.address, timeout=30) as c:
        began = time.monotonic()
        c.send(b"GET / HTTP/1.1\r\n")
        try:
            assert closes(c).status in (400, 408)
        except s3raw.Closed:
            pass
        assert HEAD_SECONDS - 1 <= time.monotonic() - began <= HEAD_SECONDS + 8
    drip = s3raw.Connection(server.address, timeout=30)
    drip.socket.settimeout(0.2)
    began, cut = time.monotonic(), False
    drip.send(b"GET / HTTP/1.1\r\nX: ")
    while not cut and time.monotonic() - began < HEAD_SECONDS + 15:
        try:
            drip.send(b"a")
            drip.socket.recv(1000)
            cut = True
        except socket.timeout:
            continue
        except ConnectionError:
            cut = True
    drip.close()
    assert cut, "a head that drips in was never cut off"


def test_a_body_of_a_document_is_bounded(raw, place):
    huge = b"<Delete>" + b" " * (5 << 20) + b"</Delete>"
    with raw.connect() as c:
        try:
            c.send(raw.build("POST", f"/{place}", query=[("delete", "")], body=huge))
            answer = c.read()
        except (s3raw.Closed, ConnectionError):
            return
        assert answer.status == 400 and answer.code in ("MalformedXML", "MaxMessageLengthExceeded", "EntityTooLarge"), answer


@pytest.mark.parametrize("body", [
    b"", b"<Delete>", b"not xml", b"<Other/>", b"<Delete/>", b"<Delete><Object></Object></Delete>",
    b'<!DOCTYPE d [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>',
    b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&a;</Key></Object></Delete>',
    b"<Delete>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</Delete>"],
    ids=["empty", "cut", "text", "other", "no object", "no key", "entity", "external entity", "deep"])
def test_a_bad_document_is_refused(raw, place, body):
    answer = raw.request("POST", f"/{place}", query=[("delete", "")], body=body)
    assert (answer.status, answer.code) in ((400, "MalformedXML"), (400, "MissingRequestBodyError")), answer


# Targets


def test_absolute_form_is_served(raw, place):
    for scheme in (b"http", b"HTTP"):
        whole = raw.build("GET", f"/{place}/k")
        with raw.connect() as c:
            c.send(whole.replace(b"GET /", b"GET " + scheme + b"://" + raw.host.encode() + b"/", 1))
            assert c.read().body == b"0123456789"


@pytest.mark.parametrize("target", ["/%", "/%zz", "/b/%0", "/b/%c3%28", "/b/%ff"])
def test_a_badly_escaped_target_is_refused(raw, target):
    with raw.connect() as c:
        c.send(s3raw.head("GET", target, [("Host", raw.host)]))
        assert c.read().status in (400, 403)


@pytest.mark.parametrize("method,path,query", [
    ("POST", "/{b}/k", ()), ("PATCH", "/{b}/k", ()), ("DELETE", "/", ()), ("PUT", "/", ()), ("POST", "/", ()),
    ("BREW", "/{b}/k", ()), ("CONNECT", "/{b}/k", ()), ("TRACE", "/{b}/k", ())])
def test_a_method_that_a_resource_does_not_have_is_405(raw, place, method, path, query):
    answer = raw.request(method, path.format(b=place), query=query)
    assert (answer.status, answer.code) in ((405, "MethodNotAllowed"), (501, "NotImplemented")), answer


@pytest.mark.parametrize("method,path,sub", [
    ("PUT", "/{b}", "replication"), ("GET", "/{b}/k", "torrent"), ("PUT", "/{b}", "website"), ("PUT", "/{b}", "notification"),
    ("PUT", "/{b}/k", "retention"), ("PUT", "/{b}/k", "legal-hold"), ("POST", "/{b}/k", "restore"), ("POST", "/{b}/k", "select")])
def test_what_is_not_built_is_501_by_name_and_changes_nothing(raw, place, method, path, sub):
    answer = raw.request(method, path.format(b=place), query=[(sub, "")], body=b"<x/>")
    assert (answer.status, answer.code) == (501, "NotImplemented"), answer
    assert raw.get(f"/{place}/k").body == b"0123456789"


def test_encryption_with_a_clients_key_is_refused_not_ignored(raw, place):
    answer = raw.put(f"/{place}/sse", b"x", headers=[("x-amz-server-side-encryption-customer-algorithm", "AES256")])
    assert answer.status in (400, 501), answer
    assert raw.request("HEAD", f"/{place}/sse").status == 404


def test_options_without_cors_is_refused(raw, place):
    with raw.connect() as c:
        c.send(s3raw.head("OPTIONS", f"/{place}/k", [("Host", raw.host), ("Origin", "http://a"),
                                                     ("Access-Control-Request-Method", "GET")]))
        assert c.read("OPTIONS").status in (403, 405, 501)


# Authentication


def hours(n):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=n)


def test_nobody_is_let_in_without_a_signature(raw, place):
    for method, path in (("GET", "/"), ("GET", f"/{place}/k"), ("PUT", f"/{place}/anon"), ("DELETE", f"/{place}/k"),
                         ("GET", f"/{bucket_name()}")):
        with raw.connect() as c:
            c.send(s3raw.head(method, path, [("Host", raw.host), ("Content-Length", "0")]))
            answer = c.read(method)
            assert (answer.status, answer.code) == (403, "AccessDenied"), answer


def test_a_wrong_signature_is_refused_by_name(server, raw, place):
    other = s3raw.Client(server.address, server.host, server.access_key, server.secret_key + "x")
    answer = other.get(f"/{place}/k")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch"), answer
    assert server.secret_key.encode() not in answer.body


def test_an_unknown_access_key_is_refused_by_name(server, place):
    answer = s3raw.Client(server.address, server.host, "NOBODY", "x").get(f"/{place}/k")
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId"), answer


@pytest.mark.parametrize("offset", [-0.3, 0.3])
def test_a_clock_that_is_too_far_off_is_told(raw, place, offset):
    answer = raw.get(f"/{place}/k", when=hours(offset))
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed"), answer


@pytest.mark.parametrize("offset", [-0.2, 0.2])
def test_a_clock_within_fifteen_minutes_is_fine(raw, place, offset):
    assert raw.get(f"/{place}/k", when=hours(offset)).status == 200


@pytest.mark.parametrize("change", ["header", "query", "path", "method", "host"])
def test_a_signed_request_that_was_changed_is_refused(raw, place, change):
    whole = raw.build("GET", f"/{place}/k", query=[("response-content-type", "text/a")], headers=[("x-amz-meta-a", "1")])
    changed = {"header": whole.replace(b"x-amz-meta-a: 1", b"x-amz-meta-a: 2"),
               "query": whole.replace(b"text%2Fa", b"text%2Fb"), "path": whole.replace(b"/k?", b"/j?"),
               "method": whole.replace(b"GET", b"PUT", 1), "host": whole.replace(raw.host.encode(), b"elsewhere:1")}[change]
    assert changed != whole
    with raw.connect() as c:
        c.send(changed)
        answer = c.read()
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch"), answer


def test_a_payload_that_is_not_the_signed_one_is_refused(raw, place):
    answer = raw.put(f"/{place}/payload", b"sent", payload=hashlib.sha256(b"signed").hexdigest())
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch"), answer
    assert raw.request("HEAD", f"/{place}/payload").status == 404


def test_an_unsigned_payload_is_taken(raw, place):
    assert raw.put(f"/{place}/unsigned", b"x", payload=s3raw.UNSIGNED).status == 200


@pytest.mark.parametrize("header", [
    "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a", "Basic a2V5OnNlY3JldA==", "AWS a:b", "",
    "AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=zz",
    "AWS4-HMAC-SHA256 Credential=///////, SignedHeaders=;;;, Signature=" + "0" * 64])
def test_a_broken_authorization_is_refused(raw, place, header):
    with raw.connect() as c:
        c.send(s3raw.head("GET", f"/{place}/k", [("Host", raw.host), ("Authorization", header),
                                                 ("x-amz-date", f"{hours(0):%Y%m%dT%H%M%SZ}"),
                                                 ("x-amz-content-sha256", s3raw.UNSIGNED)]))
        answer = c.read()
        assert answer.status in (400, 403) and answer.code, answer


def test_a_header_that_matters_must_be_signed(raw, place):
    """x-amz-* headers that the signature leaves out could be added by anyone on the way."""
    whole = raw.build("PUT", f"/{place}/unsignedheader", body=b"x")
    with raw.connect() as c:
        c.send(whole.replace(b"\r\n", b"\r\nx-amz-copy-source: /%s/k\r\n" % place.encode(), 1))
        answer = c.read()
        assert answer.status in (400, 403), answer


# Presigned


def presigned(raw, target, method="GET", body=b"", headers=(), host=None):
    with raw.connect() as c:
        extra = [("Content-Length", str(len(body)))] if body or method == "PUT" else []
        c.send(s3raw.head(method, target, [("Host", host or raw.host), *headers, *extra]) + body)
        return c.read(method)


def test_a_presigned_url_reads_and_writes(raw, place):
    assert presigned(raw, raw.signer.presign("GET", raw.host, f"/{place}/k")).body == b"0123456789"
    target = raw.signer.presign("PUT", raw.host, f"/{place}/presigned + ü")
    assert presigned(raw, target, "PUT", b"written").status == 200
    assert raw.get(f"/{place}/presigned + ü").body == b"written"
    wrong = presigned(raw, raw.signer.presign("GET", raw.host, f"/{place}/k"), "DELETE")
    assert (wrong.status, wrong.code) == (403, "SignatureDoesNotMatch")


def test_a_presigned_url_ends(raw, place):
    target = raw.signer.presign("GET", raw.host, f"/{place}/k", expires=60, when=hours(-0.1))
    answer = presigned(raw, target)
    assert (answer.status, answer.code) == (403, "AccessDenied") and b"expired" in answer.body, answer
    target = raw.signer.presign("GET", raw.host, f"/{place}/k", expires=7200, when=hours(-1))
    assert presigned(raw, target).status == 200


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "x", ""])
def test_a_presigned_url_with_an_impossible_end_is_refused(raw, place, expires):
    answer = presigned(raw, raw.signer.presign("GET", raw.host, f"/{place}/k", expires=expires))
    assert answer.status in (400, 403) and answer.code in (
        "AuthorizationQueryParametersError", "AccessDenied", "InvalidArgument"), answer


def test_a_presigned_url_may_name_headers_of_the_answer(raw, place):
    target = raw.signer.presign("GET", raw.host, f"/{place}/k", [("response-content-disposition", 'attachment; filename="l og"')])
    assert presigned(raw, target).get("content-disposition") == 'attachment; filename="l og"'


def test_a_presigned_url_is_checked_over_the_host_that_was_sent(raw, place):
    """Velero's users reach the store under a public name that the server has never heard of."""
    target = raw.signer.presign("GET", "public.example:9443", f"/{place}/k")
    assert presigned(raw, target, host="public.example:9443").body == b"0123456789"
    assert presigned(raw, target).code == "SignatureDoesNotMatch"


def test_both_kinds_of_authentication_at_once_are_refused(raw, place):
    target = raw.signer.presign("GET", raw.host, f"/{place}/k")
    answer = presigned(raw, target, headers=[("Authorization", "AWS4-HMAC-SHA256 Credential=x")])
    assert answer.status in (400, 403), answer


# Virtual-host style


def test_a_bucket_may_stand_in_the_host(new_server):
    server = new_server(args=["--domain", "s3.holdfast.test"]).start()
    client = s3raw.Client(server.address, server.host, server.access_key, server.secret_key)
    port = server.address[1]
    assert client.put("/vbucket").status == 200
    for host in (f"vbucket.s3.holdfast.test:{port}", "vbucket.s3.holdfast.test"):
        assert client.put("/a/k", b"virtual", host=host).status == 200
        assert client.get("/a/k", host=host).body == b"virtual"
        listed = client.get("/", query=[("list-type", "2")], host=host).xml()
        assert [e.text for e in listed.iter("Key")] == ["a/k"]
        target = client.signer.presign("GET", host, "/a/k")
        assert presigned(client, target, host=host).body == b"virtual"
        assert client.request("DELETE", "/a/k", host=host).status == 204
    assert client.get("/vbucket", host=f"s3.holdfast.test:{port}").status == 200
    assert client.get("/vbucket").status == 200
    assert client.get("/", host="none.s3.holdfast.test").code == "NoSuchBucket"
    names = [urllib.parse.unquote(e.text) for e in client.get("/", host="s3.holdfast.test").xml().iter("Name")]
    assert names == ["vbucket"]
