"""An S3 server in memory that is strict about requests and unkind about answers.

It verifies SigV4, the payload's hash and Content-MD5 itself, refuses whatever a plain client has no need of, and does on
demand what stores do on bad days. What a test wants is an attribute, or a rule:

    s3.rules.append(Rule(slow_down, times=3, method="PUT"))

Rules are asked in order before a request is served; each acts on the first `times` requests that it fits.
"""

import base64
import hashlib
import random
import re
import threading
import urllib.parse
from email.utils import format_datetime
from xml.sax.saxutils import escape

import sigv4
from serving import Answer, Fake

KNOWN_HEADERS = {
    "host", "user-agent", "accept", "content-length", "authorization", "x-amz-date", "x-amz-content-sha256",
    "x-amz-security-token", "content-md5", "content-type", "content-encoding", "content-disposition",
    "content-language", "cache-control", "expires", "range", "if-none-match", "x-amz-tagging", "x-amz-storage-class",
    "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled", "connection",
}
STORED_HEADERS = {"content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires"}
DENIABLE = {"PUT": "s3:PutObject", "GET": "s3:GetObject", "HEAD": "s3:GetObject", "DELETE": "s3:DeleteObject"}


class Rule:
    """action(server, request, serve) -> Answer; serve() does the request and gives its answer."""

    def __init__(self, action, times=1, **fits):
        self.action, self.left, self.fits = action, times, fits

    def matches(self, request):
        if self.left <= 0:
            return False
        for name, wanted in self.fits.items():
            if name == "method" and request.method != wanted:
                return False
            if name == "key" and not request.path.endswith(wanted):
                return False
            if name == "query" and wanted not in request.query:
                return False
        return True


def slow_down(server, request, serve):
    return server.error(503, "SlowDown", "Please reduce your request rate.", headers={"Retry-After": "2"})


def internal_error(server, request, serve):
    return server.error(500, "InternalError", "We encountered an internal error. Please try again.")


def cut_before(server, request, serve):
    """The connection closes and nothing was done."""
    return Answer(drop=True)


def cut_after(server, request, serve):
    """The request is done and its answer lost."""
    serve()
    return Answer(drop=True)


def truncated(server, request, serve):
    answer = serve()
    answer.cut_at = len(answer.body) // 2
    return answer


def wrong_etag(server, request, serve):
    answer = serve()
    answer.headers["ETag"] = '"' + "0" * 32 + '"'
    return answer


def damages(server, request, serve):
    """What arrives is stored with a bit turned over."""
    request.body = bytes([request.body[0] ^ 1]) + request.body[1:]
    return serve(trusting=True)


def late(seconds):
    def action(server, request, serve):
        answer = serve()
        answer.late = seconds
        return answer
    return action


class S3Chaos(Fake):
    ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    def __init__(self, bucket="bucket", region="us-east-1", tls=False, names=("localhost",)):
        self.bucket, self.region = bucket, region
        self.keys = {self.ACCESS_KEY: (self.SECRET_KEY, None)}  # id: (secret, session token)
        self.sources = []  # fakes that give temporary keys: .given
        self.expired = set()  # ids of keys whose token has expired
        self.disabled = set()
        self.redirect = None  # None, "301": the region is wrong by redirect; else by the signature's scope
        self.etags = "md5"  # "random", "kms"
        self.tagging = "keep"  # "drop", "refuse" (501), "invalid" (400), "deny"
        self.part_etags = None  # as etags; "long": as R2's, no MD5 at all
        self.missing = set()  # subresources of the bucket or an object that are not implemented
        self.refused = []  # what was answered by 501, and headers by 400: what a client should not have sent
        self.content_md5 = "check"  # "refuse", "require"
        self.conditions = "keep"  # "ignore", "refuse"
        self.listing = "v2"  # "v1": the newer parameters are ignored; "v1-strict": refused
        self.encoding = "url"  # "last": said behind the keys; "ignore"; "refuse"
        self.finish = "atomic"  # "200-error"
        self.max_keys = 1000
        self.denied = set()  # permissions
        self.allowed = None  # the only ones, when set
        self.quiet = False  # what is denied is not named
        self.versioning = False
        self.documents = {}  # "lifecycle": xml
        self.rules = []
        self.objects, self.uploads, self.versions = {}, {}, []
        self.lock = threading.RLock()
        super().__init__(tls=tls, names=names)

    # Answers

    def error(self, status, code, message, headers=None, **more):
        fields = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in more.items())
        body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message>'
                f"{fields}<RequestId>FAKE1234</RequestId></Error>")
        return Answer(status, body, {"Content-Type": "application/xml", "x-amz-request-id": "FAKE1234", **(headers or {})})

    def xml(self, body):
        return Answer(200, '<?xml version="1.0" encoding="UTF-8"?>\n' + body, {"Content-Type": "application/xml"})

    def answer(self, request):
        def serve(trusting=False):
            with self.lock:
                try:
                    return self.serve(request, trusting)
                except sigv4.Refused as refused:
                    if refused.status == 501 or "header" in refused.message.lower():
                        self.refused.append((request.method, request.target, refused.message))
                    headers = {}
                    if refused.code == "PermanentRedirect":
                        headers["x-amz-bucket-region"] = self.region
                    return self.error(refused.status, refused.code, refused.message, headers, **refused.more)

        rule = None
        with self.lock:
            for candidate in self.rules:
                if candidate.matches(request):
                    rule = candidate
                    rule.left -= 1
                    break
        answer = rule.action(self, request, serve) if rule else serve()
        answer.headers.setdefault("x-amz-request-id", "FAKE1234")
        return answer

    # Requests

    def where(self, request):
        """(bucket, key or None)"""
        host = request.header("host").split(":")[0]
        path = urllib.parse.unquote_to_bytes(request.path)
        if host.startswith(self.bucket + "."):
            return self.bucket, path[1:] or None
        bucket, _, key = path[1:].partition(b"/")
        return bucket.decode(), key or None

    def check(self, request, trusting):
        """Everything about a request that a strict server looks at."""
        for name, value in request.headers:
            if name not in KNOWN_HEADERS and not name.startswith("x-amz-meta-"):
                raise sigv4.Refused(400, "InvalidArgument", f"a plain client does not send {name}")
            if name == "content-encoding" and "aws-chunked" in value:
                raise sigv4.Refused(400, "InvalidArgument", "aws-chunked is not understood")
        region = self.region
        if self.redirect == "301":
            found = re.search(r"Credential=[^/]+/\d+/([^/]+)/", request.header("authorization") or "")
            if found and found.group(1) != region:
                raise sigv4.Refused(301, "PermanentRedirect",
                                    "The bucket you are attempting to access must be addressed using the specified "
                                    "endpoint.", Bucket=self.bucket)
        keys = {**self.keys, **{k: v for source in self.sources for k, v in source.given.items()}}
        key_id = sigv4.verify(request, self.now(), lambda k: keys.get(k, (None,))[0], region, "s3", ("range",))
        token, expiry = (*keys[key_id][1:], None)[:2]
        if key_id in self.disabled:
            raise sigv4.Refused(403, "InvalidAccessKeyId", "The key is disabled.")
        if request.header("x-amz-security-token") != token:
            raise sigv4.Refused(403, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if key_id in self.expired or (expiry is not None and expiry <= self.now()):
            raise sigv4.Refused(400, "ExpiredToken", "The provided token has expired.")
        declared = request.header("x-amz-content-sha256") or ""
        if not re.fullmatch("[0-9a-f]{64}", declared):
            raise sigv4.Refused(400, "InvalidRequest", "x-amz-content-sha256 must be a real digest")
        if not trusting and hashlib.sha256(request.body).hexdigest() != declared:
            raise sigv4.Refused(400, "XAmzContentSHA256Mismatch", "The provided digest does not match.")
        md5 = request.header("content-md5")
        if md5 and self.content_md5 == "refuse":
            raise sigv4.Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
        if md5 and not trusting and base64.b64encode(hashlib.md5(request.body).digest()).decode() != md5:
            raise sigv4.Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        if not md5 and self.content_md5 == "require" and request.method == "PUT":
            raise sigv4.Refused(400, "InvalidRequest",
                                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with "
                                "Object Lock parameters")
        meta = sum(len(n) - 11 + len(v) for n, v in request.headers if n.startswith("x-amz-meta-"))
        if meta > 2048:
            raise sigv4.Refused(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")

    def permit(self, permission):
        if permission in self.denied or (self.allowed is not None and permission not in self.allowed):
            raise sigv4.Refused(403, "AccessDenied", "Access Denied." if self.quiet else
                                f"User: arn:aws:iam::123456789012:user/backup is not authorized to perform: {permission} on "
                                "resource: \"arn:aws:s3:::bucket\" because no identity-based policy allows it")

    def serve(self, request, trusting=False):
        if request.method == "HEAD" and not request.header("authorization"):
            return Answer(403, b"", {"x-amz-bucket-region": self.region} if self.redirect else {})
        self.check(request, trusting)
        bucket, key = self.where(request)
        if bucket != self.bucket:
            raise sigv4.Refused(404, "NoSuchBucket", "The specified bucket does not exist", BucketName=bucket)
        query = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True, encoding="latin-1"))
        for name in self.missing & set(query):
            raise sigv4.Refused(501, "NotImplemented", f"{name} is not implemented")
        if key is None:
            return self.of_bucket(request, query)
        if len(key) > 1024:
            raise sigv4.Refused(400, "KeyTooLongError", "Your key is too long")
        if "uploads" in query:
            return self.begin(request, key)
        if "uploadId" in query:
            return self.of_upload(request, key, query)
        if "tagging" in query:
            return self.of_tags(request, key)
        self.permit("s3:DeleteObjectVersion" if "versionId" in query else DENIABLE[request.method])
        if request.method == "PUT":
            return self.put(request, key)
        if request.method == "DELETE":
            return self.delete(key, query)
        return self.get(request, key)

    # Objects

    def etag_of(self, body):
        if self.etags == "md5":
            return hashlib.md5(body).hexdigest()
        return f"{random.getrandbits(128):032x}"

    def stored(self, request):
        kept = {n: v for n, v in request.headers if n in STORED_HEADERS or n.startswith("x-amz-meta-")}
        tagging = request.header("x-amz-tagging")
        if tagging is not None:
            self.permit("s3:PutObjectTagging")
            if self.tagging == "refuse":
                raise sigv4.Refused(501, "NotImplemented", "Header 'x-amz-tagging' is not implemented")
            if self.tagging == "invalid":
                raise sigv4.Refused(400, "InvalidArgument", "Unsupported header 'x-amz-tagging' received for this API call.")
            if self.tagging == "deny":
                raise sigv4.Refused(403, "AccessDenied", "not authorized to perform: s3:PutObjectTagging on resource")
        tags = urllib.parse.parse_qsl(tagging or "", keep_blank_values=True) if self.tagging == "keep" else []
        return {"headers": kept, "tags": tags, "class": request.header("x-amz-storage-class", "STANDARD"),
                "sse": request.header("x-amz-server-side-encryption")}

    def common(self):
        return {"x-amz-server-side-encryption": "aws:kms"} if self.etags == "kms" else {}

    def keep(self, key, thing):
        thing["modified"] = self.now()
        headers = {}
        if self.versioning:
            thing["version"] = f"v{len(self.versions)}"
            self.versions.append([key, thing["version"]])
            headers["x-amz-version-id"] = thing["version"]
        self.objects[key] = thing
        return headers

    def put(self, request, key):
        if request.header("if-none-match"):
            if self.conditions == "refuse":
                raise sigv4.Refused(501, "NotImplemented", "If-None-Match is not implemented")
            if self.conditions == "keep" and key in self.objects:
                raise sigv4.Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        thing = {"body": request.body, "etag": self.etag_of(request.body), **self.stored(request)}
        headers = self.keep(key, thing)
        return Answer(200, b"", {"ETag": f'"{thing["etag"]}"', **headers, **self.common()})

    def delete(self, key, query):
        if "versionId" in query:
            self.versions = [v for v in self.versions if v != [key, query["versionId"]]]
            return Answer(204)
        self.objects.pop(key, None)
        if not self.versioning:
            return Answer(204)
        marker = f"v{len(self.versions)}m"
        self.versions.append([key, marker])
        return Answer(204, b"", {"x-amz-version-id": marker, "x-amz-delete-marker": "true"})

    def get(self, request, key):
        thing = self.objects.get(key)
        if thing is None:
            if request.method == "HEAD":
                return Answer(404)
            raise sigv4.Refused(404, "NoSuchKey", "The specified key does not exist.")
        if thing["class"] in ("GLACIER", "DEEP_ARCHIVE") and request.method == "GET":
            raise sigv4.Refused(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
        headers = {"ETag": f'"{thing["etag"]}"', "Last-Modified": format_datetime(thing["modified"], usegmt=True),
                   "Accept-Ranges": "bytes", **thing["headers"], **self.common()}
        if thing["tags"]:
            headers["x-amz-tagging-count"] = str(len(thing["tags"]))
        if thing["class"] != "STANDARD":
            headers["x-amz-storage-class"] = thing["class"]
        if "version" in thing:
            headers["x-amz-version-id"] = thing["version"]
        body = thing["body"]
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.header("range") or "")
        if not found:
            if request.method == "HEAD":
                return Answer(200, b"", {**headers, "Content-Length": str(len(body))})
            return Answer(200, body, headers)
        first, last = int(found.group(1)), int(found.group(2))
        if first >= len(body):
            raise sigv4.Refused(416, "InvalidRange", "The requested range is not satisfiable")
        part = body[first:last + 1]
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        return Answer(206, part, headers)

    def of_tags(self, request, key):
        self.permit("s3:GetObjectTagging" if request.method == "GET" else "s3:PutObjectTagging")
        if key not in self.objects:
            raise sigv4.Refused(404, "NoSuchKey", "The specified key does not exist.")
        if request.method == "PUT":
            text = request.body.decode()
            self.objects[key]["tags"] = re.findall("<Tag><Key>(.*?)</Key><Value>(.*?)</Value></Tag>", text)
            return Answer(200)
        tags = "".join(f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in self.objects[key]["tags"])
        return self.xml(f"<Tagging><TagSet>{tags}</TagSet></Tagging>")

    # Multipart

    def begin(self, request, key):
        self.permit("s3:PutObject")
        upload = f"up/{len(self.uploads)}+{random.getrandbits(64):x}=="
        self.uploads[upload] = {"key": key, "parts": {}, "begun": self.now(), **self.stored(request)}
        return self.xml(f"<InitiateMultipartUploadResult><Bucket>{self.bucket}</Bucket><UploadId>{upload}</UploadId>"
                        "</InitiateMultipartUploadResult>")

    def of_upload(self, request, key, query):
        upload = self.uploads.get(query["uploadId"])
        if upload is None or upload["key"] != key:
            raise sigv4.Refused(404, "NoSuchUpload", "The specified upload does not exist.")
        if request.method == "DELETE":
            self.permit("s3:AbortMultipartUpload")
            del self.uploads[query["uploadId"]]
            return Answer(204)
        self.permit("s3:PutObject")
        if request.method == "PUT":
            etag = self.etag_of(request.body) if self.part_etags != "long" else base64.b64encode(random.randbytes(96)).decode()
            upload["parts"][int(query["partNumber"])] = (request.body, etag)
            return Answer(200, b"", {"ETag": f'"{etag}"', **self.common()})
        named = re.findall(r'<Part><PartNumber>(\d+)</PartNumber><ETag>"?([^"<]*)"?</ETag></Part>', request.body.decode())
        bodies, sums = [], b""
        for i, (number, etag) in enumerate(named):
            part = upload["parts"].get(int(number))
            if part is None or part[1] != etag:
                raise sigv4.Refused(400, "InvalidPart", "One or more of the specified parts could not be found.")
            if i + 1 < len(named) and (len(part[0]) < 5 << 20 or len(part[0]) != len(upload["parts"][1][0])):
                raise sigv4.Refused(400, "EntityTooSmall", "All non-trailing parts must have the same length, 5 MiB or more")
            bodies.append(part[0])
            sums += hashlib.md5(part[0]).digest()
        if self.finish == "200-error":
            return self.xml("<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>")
        etag = f"{hashlib.md5(sums).hexdigest()}-{len(named)}" if self.etags == "md5" else self.etag_of(b"")
        del self.uploads[query["uploadId"]]
        thing = {k: upload[k] for k in ("headers", "tags", "class", "sse")}
        headers = self.keep(key, {"body": b"".join(bodies), "etag": etag, **thing})
        answer = self.xml(f"<CompleteMultipartUploadResult><Key>x</Key><ETag>&quot;{etag}&quot;</ETag>"
                          "</CompleteMultipartUploadResult>")
        answer.headers.update(headers)
        return answer

    # The bucket

    def of_bucket(self, request, query):
        for name in ("lifecycle", "versioning", "object-lock"):
            if name in query:
                self.permit({"lifecycle": "s3:GetLifecycleConfiguration", "versioning": "s3:GetBucketVersioning",
                             "object-lock": "s3:GetBucketObjectLockConfiguration"}[name])
                if name in self.documents:
                    return self.xml(self.documents[name])
                if name == "versioning":
                    status = "<Status>Enabled</Status>" if self.versioning else ""
                    return self.xml(f"<VersioningConfiguration>{status}</VersioningConfiguration>")
                raise sigv4.Refused(404, "NoSuchConfiguration", "The configuration does not exist")
        if request.method == "HEAD":
            return Answer(200)
        if request.method != "GET":
            raise sigv4.Refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if "uploads" in query:
            self.permit("s3:ListBucketMultipartUploads")
            return self.list_uploads(query.get("prefix", "").encode("latin-1"))
        self.permit("s3:ListBucket")
        return self.list(query)

    def list_uploads(self, prefix):
        entries = "".join(f"<Upload><Key>{escape(u['key'].decode())}</Key><UploadId>{i}</UploadId><Owner><ID>me</ID></Owner>"
                          f"<Initiated>{u['begun'].strftime('%Y-%m-%dT%H:%M:%S.000Z')}</Initiated></Upload>"
                          for i, u in self.uploads.items() if u["key"].startswith(prefix))
        return self.xml(f"<ListMultipartUploadsResult><Bucket>{self.bucket}</Bucket><KeyMarker/><UploadIdMarker/>{entries}"
                        "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")

    def list(self, query):
        v2 = query.get("list-type") == "2"
        if v2 and self.listing == "v1-strict":
            raise sigv4.Refused(501, "NotImplemented", "list-type is not implemented")
        if "encoding-type" in query and self.encoding == "refuse":
            raise sigv4.Refused(400, "InvalidArgument", "encoding-type is not understood")
        v2 = v2 and self.listing == "v2"
        after = query.get("continuation-token") or query.get("start-after") or "" if v2 else query.get("marker", "")
        prefix = query.get("prefix", "").encode("latin-1")
        keys = sorted(k for k in self.objects if k.startswith(prefix) and k > after.encode("latin-1"))
        page = keys[:min(self.max_keys, int(query.get("max-keys", 1000)))]
        truncated_ = len(page) < len(keys)
        encode = "encoding-type" in query and self.encoding in ("url", "last")
        said = "<EncodingType>url</EncodingType>" if encode else ""
        entries = ""
        for key in page:
            thing = self.objects[key]
            text = urllib.parse.quote_plus(key, safe="/") if encode else escape(key.decode("utf-8", "replace"))
            when = thing["modified"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
            entries += (f"<Contents><Key>{text}</Key><LastModified>{when}</LastModified><ETag>&quot;{thing['etag']}&quot;"
                        f"</ETag><Size>{len(thing['body'])}</Size><StorageClass>{thing['class']}</StorageClass></Contents>")
        token = urllib.parse.quote(page[-1], safe="") if page else ""
        follow = ""
        if v2:
            follow = f"<KeyCount>{len(page)}</KeyCount>"
            if truncated_:
                follow += f"<NextContinuationToken>{escape(page[-1].decode('latin-1'))}</NextContinuationToken>"
        del token
        return self.xml('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                        f"<Name>{self.bucket}</Name><MaxKeys>1000</MaxKeys>"
                        f"{said if self.encoding != 'last' else ''}"
                        f"<IsTruncated>{'true' if truncated_ else 'false'}</IsTruncated>{entries}{follow}"
                        f"{said if self.encoding == 'last' else ''}</ListBucketResult>")
