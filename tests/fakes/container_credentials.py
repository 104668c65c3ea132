"""The credentials endpoint of EKS Pod Identity and of ECS: the Authorization header must be the one of the moment."""

import datetime
import json
import secrets

from serving import Answer, Fake


class ContainerCredentials(Fake):
    PATH = "/v1/credentials"

    def __init__(self, authorization, lifetime=3600):
        self.authorization, self.lifetime = authorization, lifetime
        self.given = {}  # access key id: (secret, session token, expiry)
        self.calls = 0
        super().__init__()

    @property
    def uri(self):
        return self.url + self.PATH

    def answer(self, request):
        if request.method != "GET" or request.path != self.PATH:
            return Answer(404)
        if request.header("authorization") != self.authorization:
            return Answer(401, "unauthorized")
        self.calls += 1
        key, secret, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30), secrets.token_urlsafe(300)
        expiry = self.now() + datetime.timedelta(seconds=self.lifetime)
        self.given[key] = (secret, token, expiry)
        return Answer(200, json.dumps({"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "AccountId": "123456789012",
                                       "Expiration": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")}))
