"""The metadata server of a machine at Google: only with Metadata-Flavor, and for the accounts that the machine has."""

import json

from serving import Answer, Fake

ACCOUNTS = "/computeMetadata/v1/instance/service-accounts/"


class GoogleMetadata(Fake):
    def __init__(self, tokens, email="node@project.iam.gserviceaccount.com"):
        self.tokens = tokens  # a google_token.GoogleToken, which knows the tokens afterwards
        self.email = email  # None: a machine without an account
        self.flavor = "Google"
        self.calls = 0
        super().__init__()

    def answer(self, request):
        headers = {"Metadata-Flavor": self.flavor, "Server": "Metadata Server for VM"}
        if request.header("metadata-flavor") != "Google" or request.header("x-forwarded-for"):
            return Answer(403, "Missing Metadata-Flavor:Google header.", headers)
        if request.method != "GET":
            return Answer(405, "", headers)
        if not request.path.startswith(ACCOUNTS) or self.email is None:
            return Answer(404, "not found", headers)
        account, _, what = request.path[len(ACCOUNTS):].partition("/")
        if account not in ("default", self.email):
            return Answer(404, "not found", headers)
        if what == "email":
            return Answer(200, self.email, {**headers, "Content-Type": "application/text"})
        if what != "token":
            return Answer(404, "not found", headers)
        self.calls += 1
        return Answer(200, json.dumps({"access_token": self.tokens.issue(self.email), "expires_in": self.tokens.lifetime,
                                       "token_type": "Bearer"}), {**headers, "Content-Type": "application/json"})
