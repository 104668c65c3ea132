"""HTTP on a bare socket and Signature Version 4 by our own hand.

Nothing here is lenient or helpful: bytes go out as given, and an answer is parsed strictly, so that a test can send what no
client library would and see exactly what came back.
"""

import datetime
import hashlib
import hmac
import socket
import ssl
import urllib.parse
import xml.etree.ElementTree as ElementTree

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


class Closed(Exception):
    """The server closed the connection where an answer was expected."""


class Response:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def xml(self):
        """The body as a tree with namespaces taken off the tags."""
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    @property
    def code(self):
        """The S3 error code, or None when the body is not an error document."""
        try:
            root = self.xml()
        except ElementTree.ParseError:
            return None
        return root.findtext("Code") if root.tag == "Error" else None

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.headers} {self.body[:300]!r}>"


class Connection:
    """One TCP (or TLS) connection; sends what it is given, reads whole answers."""

    def __init__(self, address, tls_ca=None, timeout=20):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls_ca:
            context = ssl.create_default_context(cafile=tls_ca)
            self.socket = context.wrap_socket(self.socket, server_hostname=address[0])
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            return False
        self.buffer += piece
        return True

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                raise Closed(f"in a head, after {self.buffer!r}")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, count):
        data = bytearray(self.buffer[:count])
        self.buffer = self.buffer[count:]
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise Closed(f"in a body, {count - len(data)} bytes short")
            data += piece
        return bytes(data)

    def read(self, method="GET"):
        """The next final or interim answer; method tells whether it can have a body."""
        version, status, reason = (self._line().split(b" ", 2) + [b""])[:3]
        assert version == b"HTTP/1.1", version
        headers = []
        while line := self._line():
            name, colon, value = line.partition(b":")
            assert colon and name.strip() == name, line
            headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        response = Response(int(status), reason.decode(), headers, b"")
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return response
        if (response.get("transfer-encoding") or "").lower() == "chunked":
            while size := int(self._line(), 16):
                response.body += self._exactly(size)
                assert self._line() == b""
            while self._line():
                pass
        elif response.get("content-length") is not None:
            response.body = self._exactly(int(response.get("content-length")))
        else:
            while self._more():
                pass
            response.body, self.buffer = self.buffer, b""
        return response

    def at_end(self):
        """True when the server has closed; bytes that still come are an error, and so is silence until the timeout."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def quote(text, safe="-._~"):
    return urllib.parse.quote(text, safe=safe)


def canonical_query(query):
    return "&".join("=".join(pair) for pair in sorted((quote(k), quote(v)) for k, v in query))


class Signer:
    def __init__(self, access_key, secret_key, region="us-east-1", service="s3"):
        self.access_key, self.secret_key, self.region, self.service = access_key, secret_key, region, service

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc)

    def scope(self, when):
        return f"{when:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    def _hmac(self, when, text):
        key = f"AWS4{self.secret_key}".encode()
        for part in (f"{when:%Y%m%d}", self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def _signature(self, method, path, query, headers, payload, when):
        names = sorted({n.lower() for n, _ in headers})
        canonical = "\n".join([
            method, quote(path, "/-._~"), canonical_query(query),
            *(f"{n}:{','.join(' '.join(v.split()) for k, v in headers if k.lower() == n)}" for n in names),
            "", ";".join(names), payload])
        return self._hmac(when, "\n".join([
            "AWS4-HMAC-SHA256", f"{when:%Y%m%dT%H%M%SZ}", self.scope(when),
            hashlib.sha256(canonical.encode()).hexdigest()]))

    def sign(self, method, path, query, headers, payload=EMPTY_SHA256, when=None):
        """Adds the date, the payload hash and the authorization to headers; path is bytes-as-text, not yet quoted."""
        when = when or self.now()
        headers = [*headers, ("x-amz-date", f"{when:%Y%m%dT%H%M%SZ}"), ("x-amz-content-sha256", payload)]
        signature = self._signature(method, path, query, headers, payload, when)
        names = ";".join(sorted({n.lower() for n, _ in headers}))
        headers.append(("Authorization", f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self.scope(when)}, "
                        f"SignedHeaders={names}, Signature={signature}"))
        return headers

    def presign(self, method, host, path, query=(), expires=300, when=None, headers=()):
        """The request target of a presigned request."""
        when = when or self.now()
        headers = [("host", host), *headers]
        query = [*query, ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
                 ("X-Amz-Credential", f"{self.access_key}/{self.scope(when)}"),
                 ("X-Amz-Date", f"{when:%Y%m%dT%H%M%SZ}"), ("X-Amz-Expires", str(expires)),
                 ("X-Amz-SignedHeaders", ";".join(sorted(n.lower() for n, _ in headers)))]
        signature = self._signature(method, path, query, headers, UNSIGNED, when)
        return f"{quote(path, '/-._~')}?{canonical_query(query)}&X-Amz-Signature={signature}"

    def chunks(self, seed_signature, when, pieces, trailer=None):
        """An aws-chunked body signed chunk by chunk; trailer is a list of (name, value) and is signed too."""
        previous, out = seed_signature, b""
        for piece in [*pieces, b""]:
            previous = self._hmac(when, "\n".join([
                "AWS4-HMAC-SHA256-PAYLOAD", f"{when:%Y%m%dT%H%M%SZ}", self.scope(when), previous, EMPTY_SHA256,
                hashlib.sha256(piece).hexdigest()]))
            out += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece
            if piece or trailer is None:
                out += b"\r\n"
        if trailer is not None:
            text = "".join(f"{n}:{v}\n" for n, v in trailer)
            previous = self._hmac(when, "\n".join([
                "AWS4-HMAC-SHA256-TRAILER", f"{when:%Y%m%dT%H%M%SZ}", self.scope(when), previous,
                hashlib.sha256(text.encode()).hexdigest()]))
            out += "".join(f"{n}:{v}\r\n" for n, v in trailer).encode()
            out += f"x-amz-trailer-signature:{previous}\r\n\r\n".encode()
        return out


def head(method, target, headers):
    lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in headers), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class Client:
    """Signed requests to one server. path and query are text before quoting."""

    def __init__(self, address, host, access_key, secret_key, tls_ca=None):
        self.address, self.host, self.tls_ca = address, host, tls_ca
        self.signer = Signer(access_key, secret_key)

    def connect(self, **how):
        return Connection(self.address, self.tls_ca, **how)

    def build(self, method, path, query=(), headers=(), body=b"", payload=None, when=None, host=None):
        """The bytes of a signed request, body included."""
        if payload is None:
            payload = hashlib.sha256(body).hexdigest()
        signed = self.signer.sign(method, path, list(query), [("host", host or self.host), *headers], payload, when)
        if body or method in ("PUT", "POST"):
            if not any(n.lower() in ("content-length", "transfer-encoding") for n, _ in headers):
                signed.append(("Content-Length", str(len(body))))
        target = quote(path, "/-._~") + ("?" + canonical_query(list(query)) if query else "")
        return head(method, target, signed) + body

    def request(self, method, path, query=(), headers=(), body=b"", **how):
        with self.connect() as c:
            c.send(self.build(method, path, query, headers, body, **how))
            return c.read(method)

    def get(self, path, **how):
        return self.request("GET", path, **how)

    def put(self, path, body=b"", **how):
        return self.request("PUT", path, body=body, **how)
