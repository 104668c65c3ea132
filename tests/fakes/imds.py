"""The instance metadata service of EC2, version 2 only: without a token, or with one that is too old, 401."""

import datetime
import json
import secrets
import time

from serving import Answer, Fake

ROLES = "/latest/meta-data/iam/security-credentials/"


class Imds(Fake):
    def __init__(self, role="backup-node", lifetime=3600):
        self.role, self.lifetime = role, lifetime
        self.tokens = {}  # token: end of its life
        self.given = {}  # access key id: (secret, session token, expiry)
        self.calls = 0
        self.silent = False  # takes requests for tokens and does not answer: a hop limit of 1
        super().__init__()

    def answer(self, request):
        if request.path == "/latest/api/token":
            if self.silent:
                return Answer(drop=True, late=30)
            ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds") or ""
            if request.method != "PUT":
                return Answer(405)
            if not ttl.isdigit() or not 1 <= int(ttl) <= 21600 or request.header("x-forwarded-for"):
                return Answer(400)
            token = secrets.token_urlsafe(40)
            self.tokens[token] = time.monotonic() + int(ttl)
            return Answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": ttl})
        if self.tokens.get(request.header("x-aws-ec2-metadata-token"), 0) < time.monotonic():
            return Answer(401)
        if request.method != "GET":
            return Answer(405)
        if self.role is None or not request.path.startswith(ROLES):
            return Answer(404)
        if request.path == ROLES:
            return Answer(200, self.role, {"Content-Type": "text/plain"})
        if request.path != ROLES + self.role:
            return Answer(404)
        self.calls += 1
        key, secret, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30), secrets.token_urlsafe(300)
        expiry = self.now() + datetime.timedelta(seconds=self.lifetime)
        self.given[key] = (secret, token, expiry)
        return Answer(200, json.dumps({"Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC",
                                       "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                                       "Expiration": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")}))
