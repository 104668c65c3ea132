"""Google's token endpoints: for service accounts by a signed JWT, for workloads by an exchange, and acting as an account.

Every token that is given can be verified afterwards; what a request must have is checked, and anything beyond is refused.
"""

import datetime
import json
import secrets
import urllib.parse

from jwt_keys import Signer, decode
from serving import Answer, Fake

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
STORAGE = "https://www.googleapis.com/auth/devstorage.read_write"
CLOUD = "https://www.googleapis.com/auth/cloud-platform"
AUDIENCE = "https://oauth2.googleapis.com/token"
POOL = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"


class GoogleToken(Fake):
    def __init__(self, lifetime=3600):
        self.lifetime = lifetime
        self.signer = Signer()
        self.cluster = Signer()  # whose tokens the workload identity pool trusts
        self.subject = "system:serviceaccount:backup:holdfast"
        self.key_id = secrets.token_hex(20)
        self.email = "holdfast@project.iam.gserviceaccount.com"
        self.disabled = None  # a sentence of Google's
        self.given = {}  # token: (principal, scope, end of its life)
        self.revoked = set()
        self.refusals = []
        self.may_act_as = set()  # accounts that the workload may act as
        super().__init__()

    def account_json(self, **changes):
        """The key file that Google makes; a member of None is left out."""
        members = {"type": "service_account", "project_id": "project", "private_key_id": self.key_id,
                   "private_key": self.signer.key.read_text(), "client_email": self.email, "client_id": "1",
                   "token_uri": AUDIENCE, **changes}
        return json.dumps({k: v for k, v in members.items() if v is not None})

    def issue(self, principal, scope=STORAGE):
        # As long as Google's, with the dots that they end with.
        token = "ya29." + secrets.token_urlsafe(150) + "...."
        self.given[token] = (principal, scope, self.now() + datetime.timedelta(seconds=self.lifetime))
        return token

    def principal_of(self, header):
        """Who a header's bearer token is, or None."""
        kind, _, token = (header or "").partition(" ")
        if kind != "Bearer" or token in self.revoked or token not in self.given:
            return None
        principal, scope, end = self.given[token]
        return principal if scope in (STORAGE, CLOUD) and self.now() < end else None

    def refuse(self, error, text, status=400):
        self.refusals.append(text)
        return Answer(status, json.dumps({"error": error, "error_description": text}), {"Content-Type": "application/json"})

    def answer(self, request):
        if request.method != "POST":
            return Answer(405)
        if request.path.startswith("/v1/projects/-/serviceAccounts/") and request.path.endswith(":generateAccessToken"):
            return self.act_as(request)
        if request.header("content-type") != "application/x-www-form-urlencoded":
            return self.refuse("invalid_request", "The request is no form.")
        form = dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))
        if request.path == "/token" and form.get("grant_type") == GRANT and set(form) == {"grant_type", "assertion"}:
            return self.by_assertion(form["assertion"])
        if request.path == "/v1/token" and form.get("grant_type") == EXCHANGE:
            return self.by_exchange(form)
        return self.refuse("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")

    def by_assertion(self, assertion):
        if self.disabled:
            return self.refuse("invalid_grant", self.disabled)
        claims = self.signer.read(assertion)
        if claims is None:
            return self.refuse("invalid_grant", "Invalid JWT Signature.")
        head = json.loads(decode(assertion.split(".")[0]))
        if head != {"alg": "RS256", "typ": "JWT", "kid": self.key_id}:
            return self.refuse("invalid_grant", f"Invalid JWT: the head is {head}")
        if set(claims) != {"iss", "scope", "aud", "iat", "exp"}:
            return self.refuse("invalid_grant", f"Invalid JWT: it claims {sorted(claims)}")
        if claims["iss"] != self.email:
            return self.refuse("invalid_grant", "Invalid grant: account not found")
        if claims["aud"] != AUDIENCE:
            return self.refuse("invalid_grant", "Invalid JWT: Failed audience check.")
        if claims["scope"] != STORAGE:
            return self.refuse("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        now = self.now().timestamp()
        if not (now - 3600 < claims["iat"] <= now + 60 and now < claims["exp"] <= claims["iat"] + 3600):
            return self.refuse("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                                                "timeframe. Check your iat and exp values in the JWT claim.")
        return self.token(self.issue(self.email))

    def token(self, token):
        return Answer(200, json.dumps({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}),
                      {"Content-Type": "application/json; charset=utf-8"})

    def by_exchange(self, form):
        wanted = {"grant_type", "audience", "scope", "requested_token_type", "subject_token_type", "subject_token"}
        if set(form) != wanted or form["requested_token_type"] != ACCESS_TOKEN or form["scope"] not in (STORAGE, CLOUD):
            return self.refuse("invalid_request", f"parameters: {sorted(form)}")
        if form["audience"] != POOL:
            return self.refuse("invalid_target", "The target service indicated by the \"audience\" parameters is invalid.")
        claims = self.cluster.read(form["subject_token"])
        if claims is None or claims.get("sub") != self.subject or claims.get("exp", 0) < self.now().timestamp():
            return self.refuse("invalid_grant", "The subject token is not acceptable.")
        return self.token(self.issue("principal:" + self.subject, form["scope"]))

    def act_as(self, request):
        account = request.path.split("/")[-1].partition(":")[0]
        body = json.loads(request.body)
        if self.principal_of(request.header("authorization")) is None:
            return Answer(401, json.dumps({"error": {"code": 401, "message": "Request had invalid authentication credentials."}}))
        if body != {"scope": [STORAGE], "lifetime": "3600s"}:
            return Answer(400, json.dumps({"error": {"code": 400, "message": f"body: {body}"}}))
        if account not in self.may_act_as:
            return Answer(403, json.dumps({"error": {"code": 403, "status": "PERMISSION_DENIED", "message":
                                           "Permission 'iam.serviceAccounts.getAccessToken' denied on resource."}}))
        token = self.issue(account)
        end = self.given[token][2].strftime("%Y-%m-%dT%H:%M:%SZ")
        return Answer(200, json.dumps({"accessToken": token, "expireTime": end}), {"Content-Type": "application/json"})
