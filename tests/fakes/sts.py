"""The Security Token Service: AssumeRoleWithWebIdentity for tokens of a test's own signer, and GetCallerIdentity."""

import datetime
import secrets
import urllib.parse

import sigv4
from serving import Answer, Fake

AUDIENCE = "sts.amazonaws.com"


class Sts(Fake):
    def __init__(self, signer=None, role="arn:aws:iam::123456789012:role/backup", region="us-east-1", lifetime=3600, tls=False):
        self.signer, self.role, self.region, self.lifetime = signer, role, region, lifetime
        self.trusts = True  # the role's trust policy lets the service account in
        self.given = {}  # access key id: (secret, session token, expiry)
        self.known = {}  # long-lived keys: id: (secret, arn)
        self.calls = 0
        super().__init__(tls=tls)

    def error(self, status, code, message):
        return Answer(status, f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                      "<RequestId>r</RequestId></ErrorResponse>", {"Content-Type": "text/xml"})

    def answer(self, request):
        if request.method != "POST" or request.header("content-type") != "application/x-www-form-urlencoded":
            return self.error(400, "InvalidAction", "not a form")
        form = dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))
        if form.get("Version") != "2011-06-15":
            return self.error(400, "NoSuchVersion", "the version is wrong")
        if form.get("Action") == "GetCallerIdentity":
            return self.identity(request)
        if form.get("Action") != "AssumeRoleWithWebIdentity":
            return self.error(400, "InvalidAction", "unknown action")
        self.calls += 1
        if set(form) != {"Action", "Version", "RoleArn", "RoleSessionName", "WebIdentityToken"}:
            return self.error(400, "ValidationError", f"parameters: {sorted(form)}")
        if request.header("authorization"):
            return self.error(400, "ValidationError", "this action takes no signature")
        claims = self.signer.read(form["WebIdentityToken"])
        if claims is None:
            return self.error(400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
        if claims.get("aud") not in (AUDIENCE, [AUDIENCE]):
            return self.error(400, "InvalidIdentityToken", "Incorrect token audience")
        if claims.get("exp", 0) <= self.now().timestamp():
            return self.error(400, "ExpiredTokenException", "Token expired")
        if form["RoleArn"] != self.role or not self.trusts:
            return self.error(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        key, secret, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30), secrets.token_urlsafe(300)
        expiry = self.now() + datetime.timedelta(seconds=self.lifetime)
        self.given[key] = (secret, token, expiry)
        return Answer(200, f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>{token}</SessionToken><Expiration>{expiry.strftime('%Y-%m-%dT%H:%M:%SZ')}</Expiration></Credentials>
<AssumedRoleUser><Arn>{self.role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/{form['RoleSessionName']}</Arn>
</AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>""", {"Content-Type": "text/xml"})

    def identity(self, request):
        try:
            key = sigv4.verify(request, self.now(), lambda k: self.known.get(k, self.given.get(k, (None,)))[0], self.region,
                               "sts")
        except sigv4.Refused as refused:
            return self.error(refused.status, refused.code, refused.message)
        arn = self.known[key][1] if key in self.known else self.role
        return Answer(200, f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult>"
                      "</GetCallerIdentityResponse>", {"Content-Type": "text/xml"})
