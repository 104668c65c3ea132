"""In front of fake-gcs-server: what Google checks and that does not, and misbehaviour on request.

It asks for a valid token and the permission of each request, verifies the checksums that a client names, and keeps resumable
uploads itself, as strictly as Google does: in order, in multiples of 256 KiB, durable between requests.
"""

import http.client
import json
import re
import secrets
import threading
import urllib.parse

import google_sums
from serving import Answer, Fake

PERMISSIONS = {"GET": "storage.objects.get", "DELETE": "storage.objects.delete", "PATCH": "storage.objects.update",
               "POST": "storage.objects.create", "PUT": "storage.objects.create"}
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "server", "date", "content-length"}
STEP = 256 << 10


def refusal(status, reason, message, **headers):
    body = {"error": {"code": status, "message": message, "errors": [{"message": message, "domain": "global", "reason": reason}]}}
    return Answer(status, json.dumps(body), {"Content-Type": "application/json; charset=UTF-8", "X-GUploader-UploadID": "up-1",
                                             **{k.replace("_", "-"): v for k, v in headers.items()}})


class Upload:
    def __init__(self, resource, length, query):
        self.resource, self.length, self.query = resource, length, query
        self.bytes = bytearray()
        self.done = None  # the object's resource
        self.dead = False


class GoogleFront(Fake):
    def __init__(self, port, tokens, names=("localhost",), tls=False):
        self.behind, self.tokens = port, tokens
        self.denied = {}  # permission: reason
        self.allowed = None  # the only permissions, when set
        self.uploads = {}
        self.bucket_members = {}  # what buckets.get says besides
        self.before = None  # called with the request; an Answer goes out instead
        self.after = None  # called with request and answer; gives the answer
        self.keep_only = []  # of the next chunks, how many bytes are kept
        self.damage = False  # what arrives is stored with a bit turned over
        self.page = None  # objects of a listing's page
        self.lock = threading.Lock()
        super().__init__(tls=tls, names=names)

    def answer(self, request):
        if self.before is not None:
            answer = self.before(request)
            if answer is not None:
                return answer
        if request.path == "/":
            return refusal(404, "notFound", "Not Found")
        answer = self.check(request) or self.serve(request)
        return answer if self.after is None else self.after(request, answer)

    def check(self, request):
        if not (request.path.startswith("/storage/v1/b/") or request.path.startswith("/upload/storage/v1/b/")):
            return refusal(404, "notFound", "Not Found")
        if request.method == "PATCH":  # which the scope devstorage.read_write does not allow
            return refusal(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
        who = self.tokens.principal_of(request.header("authorization"))
        if who is None:
            return refusal(401, "authError", "Invalid Credentials")
        permission = PERMISSIONS[request.method]
        if request.method == "GET" and request.path.endswith("/o"):
            permission = "storage.objects.list"
        elif request.method == "GET" and "/o/" not in request.path:
            permission = "storage.buckets.get"
        return self.permit(who, permission)

    def permit(self, who, permission):
        if permission in self.denied or (self.allowed is not None and permission not in self.allowed):
            return refusal(403, self.denied.get(permission, "forbidden"),
                           f"{who} does not have {permission} access to the Google Cloud Storage object. "
                           f"Permission '{permission}' denied on resource (or it may not exist).")
        return None

    def serve(self, request):
        query = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
        if request.path.startswith("/upload/"):
            if "upload_id" in query:
                with self.lock:
                    return self.resume(request, query["upload_id"])
            if query.get("uploadType") == "resumable":
                return self.begin(request, query)
            return self.insert(request)
        if request.method == "GET" and "/o" not in request.path.rpartition("/b/")[2]:
            return self.bucket(request)
        if self.page and request.path.endswith("/o"):
            query["maxResults"] = str(self.page)
            request.query = urllib.parse.urlencode(query)
        answer = self.forward(request.method, request.path, request.query, request.headers, request.body)
        if answer.status == 404 and self.forward("GET", request.path.partition("/o")[0], "", [], b"").status == 404:
            return refusal(404, "notFound", "The specified bucket does not exist.")
        if answer.status == 404:
            return refusal(404, "notFound", "No such object: " + request.path)
        return answer

    def forward(self, method, path, query, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)
        try:
            connection.request(method, path + ("?" + query if query else ""), body,
                               {k: v for k, v in headers if k not in HOP_BY_HOP | {"host", "authorization"}})
            back = connection.getresponse()
            return Answer(back.status, back.read(), {k: v for k, v in back.getheaders() if k.lower() not in HOP_BY_HOP})
        finally:
            connection.close()

    def bucket(self, request):
        answer = self.forward("GET", request.path, "", [], b"")
        if answer.status == 200:
            answer.body = json.dumps({**json.loads(answer.body), **self.bucket_members}).encode()
        return answer

    def insert(self, request):
        boundary = re.fullmatch(r"multipart/related; boundary=([0-9a-f]{32})", request.header("content-type") or "")
        if not boundary:
            return refusal(400, "badRequest", "The content type is not multipart/related.")
        parts = request.body.split(b"--" + boundary[1].encode())
        if len(parts) != 4 or parts[0] or parts[3] != b"--\r\n":
            return refusal(400, "badContent", "Malformed multipart body.")
        (head, _, text), (_, _, media) = (p.partition(b"\r\n\r\n") for p in parts[1:3])
        resource, media = json.loads(text), media[:-2]
        if head.strip() != b"Content-Type: application/json; charset=UTF-8" or not {"md5Hash", "crc32c"} <= set(resource):
            return refusal(400, "badContent", "The test wants JSON first, with both checksums.")
        refused = self.verify(resource, media)
        return refused or self.create(request.path, resource, media, request.query.replace("uploadType=multipart", ""))

    def verify(self, resource, media):
        for member, sum in (("md5Hash", google_sums.md5(media)), ("crc32c", google_sums.encoded(media))):
            if resource.get(member, sum) != sum:
                name = {"md5Hash": "MD5", "crc32c": "CRC32C"}[member]
                return refusal(400, "invalid", f'Provided {name} hash "{resource[member]}" doesn\'t match calculated {name} '
                                               f'hash "{sum}".')
        return None

    def create(self, path, resource, media, query):
        there = path[len("/upload"):] + "/" + urllib.parse.quote(resource["name"], safe="")
        refused = self.permit("the caller", "storage.objects.delete")
        if refused and self.forward("GET", there, "", [], b"").status == 200:
            return refused  # to replace is to delete
        if self.damage and media:
            media = bytes([media[0] ^ 1]) + media[1:]
        given = {k: v for k, v in resource.items() if k not in ("md5Hash", "crc32c")}
        line = secrets.token_hex(16)
        body = (f"--{line}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(given)}\r\n--{line}\r\n"
                f"Content-Type: {resource['contentType']}\r\n\r\n").encode() + media + f"\r\n--{line}--\r\n".encode()
        query = "uploadType=multipart" + "".join("&" + q for q in query.split("&") if q)
        return self.forward("POST", path, query, [("content-type", f"multipart/related; boundary={line}")], body)

    def begin(self, request, query):
        if self.forward("GET", request.path[len("/upload"):].partition("/o")[0], "", [], b"").status == 404:
            return refusal(404, "notFound", "The specified bucket does not exist.")
        length = request.header("x-upload-content-length")
        upload = secrets.token_urlsafe(120)
        self.uploads[upload] = Upload(json.loads(request.body), int(length) if length else None,
                                      "&".join(f"{k}={v}" for k, v in query.items() if k == "kmsKeyName"))
        return Answer(200, b"", {"Location": f"{self.url}{request.path}?uploadType=resumable&upload_id={upload}",
                                 "X-GUploader-UploadID": upload})

    def standing(self, upload):
        return Answer(308, b"", {"Range": f"bytes=0-{len(upload.bytes) - 1}"} if upload.bytes else {})

    def resume(self, request, name):
        upload = self.uploads.get(name)
        if upload is None or upload.dead:
            return refusal(410 if upload else 404, "gone", "The upload is gone.")
        if request.method == "DELETE":
            upload.dead = True
            return Answer(499, b"")
        if request.method != "PUT":
            return refusal(405, "methodNotAllowed", "")
        if upload.done is not None:
            return Answer(200, upload.done, {"Content-Type": "application/json"})
        asked = re.fullmatch(r"bytes \*/(\d+|\*)", request.header("content-range") or "")
        if asked and not request.body:
            whole = asked[1] != "*" and len(upload.bytes) == int(asked[1])
            return self.finish(request, upload) if whole else self.standing(upload)
        said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.header("content-range") or "")
        if not said:
            return refusal(400, "badRequest", "Failed to parse Content-Range header.")
        first, last, total = map(int, said.groups())
        if last - first + 1 != len(request.body) or last >= total or (upload.length or total) != total:
            return refusal(400, "badRequest", "Content-Range does not fit.")
        if first > len(upload.bytes):
            return refusal(503, "backendError", "Invalid request.  According to the Content-Range header, the upload offset is "
                           f"{first} byte(s), which exceeds already uploaded size of {len(upload.bytes)} byte(s).")
        if last + 1 < total and len(request.body) % STEP:
            return refusal(400, "badRequest", "The number of bytes is not a multiple of 262144.")
        body = request.body[len(upload.bytes) - first:]
        if self.keep_only:
            body = body[:self.keep_only.pop(0)]
        upload.bytes += body
        return self.finish(request, upload) if len(upload.bytes) == total else self.standing(upload)

    def finish(self, request, upload):
        media = bytes(upload.bytes)
        sums = re.search(r"crc32c=([^,]+)", request.header("x-goog-hash") or "")
        if not sums and "crc32c" not in upload.resource and "md5Hash" not in upload.resource:
            return refusal(400, "invalid", "The test wants a checksum of all that was sent.")
        refused = self.verify({**upload.resource, **({"crc32c": sums[1]} if sums else {})}, media)
        if refused:
            upload.dead = True
            return refused
        answer = self.create(request.path, upload.resource, media, upload.query)
        upload.done = answer.body
        return answer
