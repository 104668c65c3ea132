"""Azure Storage's Shared Key: the text that is signed and its signature, from the documents; a client by it for tests."""

import base64
import email.utils
import hashlib
import hmac
import http.client
import urllib.parse

STANDARD = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date", "if-modified-since",
            "if-match", "if-none-match", "if-unmodified-since", "range")
VERSION = "2021-12-02"


def string_to_sign(method, account, path, query, headers):
    """path as it is sent; query: the part behind '?'; headers: a dict with small names."""
    given = {k: " ".join(v.split()) for k, v in headers.items()}
    if given.get("content-length") == "0":
        given["content-length"] = ""
    if "x-ms-date" in given:
        given["date"] = ""
    lines = [method] + [given.get(name, "") for name in STANDARD]
    lines += [f"{k}:{v}" for k, v in sorted(given.items()) if k.startswith("x-ms-")]
    resource = f"/{account}{path}"
    several = {}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        several.setdefault(name.lower(), []).append(value)
    for name in sorted(several):
        resource += f"\n{name}:{','.join(sorted(several[name]))}"
    return "\n".join(lines + [resource])


def signature(key, text):
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def authorization(method, account, key, path, query, headers):
    return f"SharedKey {account}:{signature(key, string_to_sign(method, account, path, query, headers))}"


class Client:
    """Requests to an account, signed: call(method, path below the account, query, headers, body)."""

    def __init__(self, port, account, key, tls=None):
        self.port, self.account, self.key, self.tls = port, account, key, tls

    def call(self, method, path, query=None, headers=None, body=b""):
        target = f"/{self.account}{urllib.parse.quote(path, safe='/')}"
        text = urllib.parse.urlencode(query or {}, quote_via=urllib.parse.quote)
        sent = {k.lower(): v for k, v in (headers or {}).items()}
        sent["x-ms-date"] = email.utils.formatdate(usegmt=True)
        sent["x-ms-version"] = VERSION
        sent["content-length"] = str(len(body))
        sent["authorization"] = authorization(method, self.account, self.key, target, text, sent)
        return send(self.port, method, target, text, sent, body, self.tls)

    def ok(self, *request, **how):
        status, headers, body = self.call(*request, **how)
        assert status // 100 == 2, (request, status, body)
        return headers, body


def send(port, method, target, query, headers, body, tls=None):
    """tls: an SSL context, for a server that is called localhost."""
    connection = (http.client.HTTPSConnection("localhost", port, timeout=30, context=tls) if tls else
                  http.client.HTTPConnection("127.0.0.1", port, timeout=30))
    try:
        connection.putrequest(method, target + ("?" + query if query else ""), skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def account_sas(account, key, permissions, expiry, services="b", types="sco"):
    """A SAS token of the account; expiry as 2030-01-01T00:00:00Z."""
    text = "\n".join([account, permissions, services, types, "", expiry, "", "https,http", VERSION, "", ""])
    fields = {"sv": VERSION, "ss": services, "srt": types, "sp": permissions, "se": expiry, "spr": "https,http",
              "sig": signature(key, text)}
    return urllib.parse.urlencode(fields)
