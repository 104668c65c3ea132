"""Verifies AWS Signature Version 4 in the Authorization header, strictly; its own reading of the specification."""

import datetime
import hashlib
import hmac
import re

FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]*)/([^/,]*)/aws4_request, "
                  r"SignedHeaders=([a-z0-9;_.-]+), Signature=([0-9a-f]{64})")
UNRESERVED = re.compile(r"(?:[A-Za-z0-9_.~/-]|%[0-9A-F]{2})*")
SKEW_SECONDS = 15 * 60


class Refused(Exception):
    def __init__(self, status, code, message, **more):
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.more = status, code, message, more


def canonical_query(query):
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        if not UNRESERVED.fullmatch(name.replace("/", "")) or not UNRESERVED.fullmatch(value) or "/" in value:
            raise Refused(403, "SignatureDoesNotMatch", f"the query is not encoded as SigV4 asks: {part}")
        pairs.append((name, value))
    if pairs != sorted(pairs):
        raise Refused(403, "SignatureDoesNotMatch", "this strict server wants the parameters sorted")
    return "&".join(f"{n}={v}" for n, v in sorted(pairs))


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def verify(request, now, find_secret, region, service, must_sign=()):
    """The access key id, or Refused. find_secret(id) gives the secret or None."""
    match = FORM.fullmatch(request.header("authorization") or "")
    if not request.header("authorization"):
        raise Refused(403, "AccessDenied", "Anonymous access is not allowed.")
    if not match:
        raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header is malformed.")
    key_id, date, its_region, its_service, signed, signature = match.groups()
    secret = find_secret(key_id)
    if secret is None:
        raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    if its_region != region:
        raise Refused(400, "AuthorizationHeaderMalformed",
                      f"The authorization header is malformed; the region '{its_region}' is wrong; expecting '{region}'",
                      Region=region)
    if its_service != service:
        raise Refused(400, "AuthorizationHeaderMalformed", f"the service '{its_service}' is wrong")
    stamp = request.header("x-amz-date") or ""
    try:
        when = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refused(403, "AccessDenied", "x-amz-date is missing or malformed") from None
    if stamp[:8] != date:
        raise Refused(403, "SignatureDoesNotMatch", "the scope's date is not that of x-amz-date")
    if abs((when - now).total_seconds()) > SKEW_SECONDS:
        raise Refused(403, "RequestTimeTooSkewed",
                      "The difference between the request time and the current time is too large.")

    signed = signed.split(";")
    if signed != sorted(set(signed)):
        raise Refused(403, "SignatureDoesNotMatch", "SignedHeaders is not sorted")
    names = [n for n, _ in request.headers]
    for name in names:
        needed = name == "host" or name.startswith("x-amz-") or name in ("content-md5", "content-type", *must_sign)
        if needed and name not in signed:
            raise Refused(403, "AccessDenied", f"There were headers present in the request which were not signed: {name}")
    lines = ""
    for name in signed:
        values = [v for n, v in request.headers if n == name]
        if len(values) != 1:
            raise Refused(403, "SignatureDoesNotMatch", f"{name} is there {len(values)} times")
        lines += f"{name}:{' '.join(values[0].split())}\n"
    if not UNRESERVED.fullmatch(request.path):
        raise Refused(403, "SignatureDoesNotMatch", f"the path is not encoded as SigV4 asks: {request.path}")
    payload = request.header("x-amz-content-sha256") if service == "s3" else hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join([request.method, request.path, canonical_query(request.query), lines, ";".join(signed),
                           payload or ""])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, f"{date}/{region}/{service}/aws4_request",
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = hmac256(hmac256(hmac256(hmac256(("AWS4" + secret).encode(), date), region), service), "aws4_request")
    if not hmac.compare_digest(hmac256(key, text).hex(), signature):
        raise Refused(403, "SignatureDoesNotMatch",
                      "The request signature we calculated does not match the signature you provided.")
    return key_id
