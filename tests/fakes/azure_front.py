"""In front of Azurite: checks tokens and roles as Azure does, which Azurite does not, and misbehaves on request."""

import datetime
import email.utils
import urllib.parse

import azure_key
from entra import STORAGE
from serving import Answer, Fake

RIGHTS = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "server", "date"}


def refusal(status, code, message="Refused by the test.\nRequestId:r\nTime:t", **headers):
    return Answer(status, f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
                  .encode(), {"x-ms-error-code": code, "x-ms-request-id": "req-1", "Content-Type": "application/xml",
                              **{k.replace("_", "-"): v for k, v in headers.items()}})


class AzureFront(Fake):
    """azurite: an azure_key.Client. The account here may have another name and key than behind."""

    def __init__(self, azurite, entra=None, account=None, key=None, path_style=True, tls=False, names=("localhost",)):
        self.azurite, self.entra = azurite, entra
        self.account, self.key = account or azurite.account, key or azurite.key
        self.path_style = path_style
        self.roles = {}  # client id: set of "read", "write", "delete"
        self.allow_keys = True
        self.page = None  # entries of a listing's page
        self.before = None  # called with the request; an Answer goes out instead
        self.after = None  # called with request and answer; gives the answer
        super().__init__(tls=tls, names=names)

    def blob_url(self):
        return f"{self.url}/{self.account}" if self.path_style else self.url

    def answer(self, request):
        if self.before is not None:
            answer = self.before(request)
            if answer is not None:
                return answer
        refused = self.check(request)
        if refused is not None:
            return refused
        answer = self.forward(request)
        return answer if self.after is None else self.after(request, answer)

    def check(self, request):
        header = request.header("authorization")
        if request.header("x-ms-version") != azure_key.VERSION:
            return refusal(400, "InvalidHeaderValue")
        if header is None:
            return None if "sig=" in request.query else refusal(401, "NoAuthenticationInformation")
        date = request.header("x-ms-date")
        sent = email.utils.parsedate_to_datetime(date) if date else datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
        if abs((sent - self.now()).total_seconds()) > 900:
            return refusal(403, "AuthenticationFailed", "Server failed to authenticate the request. Request date header too old.")
        if header.startswith("Bearer "):
            client = self.entra.client_of(header, STORAGE) if self.entra else None
            if client is None:
                return refusal(401, "InvalidAuthenticationInfo", "Server failed to authenticate the request.")
            if RIGHTS[request.method] not in self.roles.get(client, ()):
                return refusal(403, "AuthorizationPermissionMismatch",
                               "This request is not authorized to perform this operation using this permission.")
            return None
        if not self.allow_keys:
            return refusal(403, "KeyBasedAuthenticationNotPermitted")
        wanted = azure_key.authorization(request.method, self.account, self.key, request.path, request.query, dict(request.headers))
        return None if header == wanted else refusal(403, "AuthenticationFailed", "The MAC signature found is not the same.")

    def forward(self, request):
        path, query = request.path, request.query
        if self.path_style:
            path = path[len(self.account) + 1:]
        path = f"/{self.azurite.account}{path}"
        headers = {k: v for k, v in request.headers if k not in HOP_BY_HOP | {"host", "authorization"}}
        headers["x-ms-date"] = email.utils.formatdate(usegmt=True)
        if self.page and "comp=list" in query:
            fields = dict(urllib.parse.parse_qsl(query))
            fields["maxresults"] = str(self.page)
            query = urllib.parse.urlencode(fields, quote_via=urllib.parse.quote)
        if "sig=" not in query:
            headers["authorization"] = azure_key.authorization(request.method, self.azurite.account, self.azurite.key, path, query,
                                                               headers)
        status, given, body = azure_key.send(self.azurite.port, request.method, path, query, headers, request.body)
        return Answer(status, body, {k: v for k, v in given.items() if k not in HOP_BY_HOP})
