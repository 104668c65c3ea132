"""Entra's token endpoint and the machines' metadata service: what each checks, this checks, and tokens can be verified."""

import json
import secrets
import urllib.parse

from jwt_keys import Signer
from serving import Answer, Fake

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "api://AzureADTokenExchange"
STORAGE, MANAGEMENT = "https://storage.azure.com", "https://management.azure.com"


class Entra(Fake):
    def __init__(self, tenant="11111111-aaaa-4bbb-8ccc-222222222222", lifetime=3600, tls=False, names=("localhost",)):
        self.tenant, self.lifetime = tenant, lifetime
        self.applications = {}  # client id: secret
        self.federated = {}  # client id: (issuer, subject)
        self.cluster = Signer()  # whose tokens federated credentials trust
        self.machine = None  # client id of the identity that the machine has
        self.resources = {STORAGE, MANAGEMENT}
        self.signer = Signer()
        self.revoked = set()
        self.given = []
        self.trouble = []  # answers to give first
        super().__init__(tls=tls, names=names)

    def error(self, status, error, number, text):
        return Answer(status, json.dumps({"error": error, "error_codes": [number], "correlation_id": "c", "error_description":
                                          f"AADSTS{number}: {text} Trace ID: t Correlation ID: c"}),
                      {"Content-Type": "application/json"})

    def answer(self, request):
        if self.trouble:
            return self.trouble.pop(0)
        if request.path == "/metadata/identity/oauth2/token":
            return self.metadata(request)
        parts = request.path.strip("/").split("/")
        if request.method != "POST" or parts[1:] != ["oauth2", "v2.0", "token"]:
            return Answer(404)
        if request.header("content-type") != "application/x-www-form-urlencoded":
            return self.error(400, "invalid_request", 900144, "The request body is no form.")
        if parts[0] != self.tenant:
            return self.error(400, "invalid_request", 90002, f"Tenant '{parts[0]}' not found.")
        form = dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))
        client = form.get("client_id")
        if form.get("grant_type") != "client_credentials" or not client:
            return self.error(400, "unsupported_grant_type", 70003, "The grant type is not supported.")
        if client not in self.applications and client not in self.federated:
            return self.error(400, "unauthorized_client", 700016, f"Application '{client}' was not found in the directory.")
        refused = self.check_proof(form, client)
        if refused:
            return refused
        scope = form.get("scope", "")
        if not scope.endswith("/.default") or scope[:-len("/.default")] not in self.resources:
            return self.error(400, "invalid_resource", 500011, f"The resource principal named {scope} was not found.")
        return self.give(client, scope[:-len("/.default")])

    def check_proof(self, form, client):
        common = {"grant_type", "client_id", "scope"}
        if "client_secret" in form:
            if set(form) != common | {"client_secret"}:
                return self.error(400, "invalid_request", 900144, f"parameters: {sorted(form)}")
            if not secrets.compare_digest(form["client_secret"], self.applications.get(client, "")):
                return self.error(401, "invalid_client", 7000215, "Invalid client secret provided.")
            return None
        if set(form) != common | {"client_assertion", "client_assertion_type"} or form["client_assertion_type"] != ASSERTION_TYPE:
            return self.error(400, "invalid_request", 900144, f"parameters: {sorted(form)}")
        claims = self.cluster.read(form["client_assertion"])
        if claims is None:
            return self.error(401, "invalid_client", 700027, "The assertion's signature is not valid.")
        if not claims.get("nbf", 0) <= self.now().timestamp() < claims.get("exp", 0):
            return self.error(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")
        if claims.get("aud") not in (EXCHANGE, [EXCHANGE]):
            return self.error(401, "invalid_client", 700212, "No matching federated identity record found for audience.")
        if client not in self.federated or self.federated[client][0] != claims.get("iss"):
            return self.error(401, "invalid_client", 700211, "No matching federated identity record found for issuer.")
        if self.federated[client][1] != claims.get("sub"):
            return self.error(401, "invalid_client", 700213, "No matching federated identity record found for subject.")
        return None

    def metadata(self, request):
        query = dict(urllib.parse.parse_qsl(request.query))
        if request.method != "GET" or request.header("metadata") != "true" or request.header("x-forwarded-for"):
            return Answer(400, '{"error":"bad_request_102","error_description":"Required metadata header not specified"}')
        if query.get("api-version") != "2018-02-01" or query.get("resource", "").rstrip("/") not in self.resources:
            return Answer(400, '{"error":"invalid_request","error_description":"bad resource or version"}')
        if self.machine is None or query.get("client_id", self.machine) != self.machine:
            return Answer(400, '{"error":"invalid_request","error_description":"Identity not found"}')
        answer = self.give(self.machine, query["resource"].rstrip("/"))
        body = json.loads(answer.body)
        body["expires_in"] = str(body["expires_in"])
        return Answer(200, json.dumps(body), answer.headers)

    def give(self, client, audience):
        now = int(self.now().timestamp())
        token = self.signer.make({"aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "iat": now, "nbf": now - 5,
                                  "exp": now + self.lifetime, "appid": client, "oid": "0b1ec7-" + client[:8], "tid": self.tenant,
                                  "jti": secrets.token_hex(8)})
        self.given.append(token)
        return Answer(200, json.dumps({"token_type": "Bearer", "expires_in": self.lifetime, "ext_expires_in": self.lifetime,
                                       "access_token": token}), {"Content-Type": "application/json"})

    def client_of(self, header, audience):
        """The client id of a valid Authorization header for the audience, or None."""
        scheme, _, token = (header or "").partition(" ")
        if scheme != "Bearer" or token in self.revoked:
            return None
        claims = self.signer.read(token)
        if claims is None or claims["aud"] != audience or not claims["nbf"] <= self.now().timestamp() < claims["exp"]:
            return None
        return claims["appid"]
