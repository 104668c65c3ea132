"""Azure Resource Manager, as far as listing a storage account's keys."""

import json
import re
import urllib.parse

from entra import MANAGEMENT
from serving import Answer, Fake

PATH = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Storage/storageAccounts/([^/]+)/listKeys")


class Arm(Fake):
    def __init__(self, entra, account, subscription="0a1b2c3d-0000-4000-8000-00000000000a", group="backups & more", tls=False,
                 names=("localhost",)):
        self.entra, self.account, self.subscription, self.group = entra, account, subscription, group
        self.audience = MANAGEMENT
        self.may_list = set()  # client ids
        self.keys = []  # base64, first to last
        super().__init__(tls=tls, names=names)

    def error(self, status, code, message):
        return Answer(status, json.dumps({"error": {"code": code, "message": message}}), {"Content-Type": "application/json"})

    def answer(self, request):
        client = self.entra.client_of(request.header("authorization"), self.audience)
        if client is None:
            return self.error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        found = PATH.fullmatch(urllib.parse.unquote(request.path))
        if request.method != "POST" or found is None:
            return self.error(404, "NotFound", "There is no such operation.")
        if urllib.parse.parse_qs(request.query) != {"api-version": ["2023-01-01"]}:
            return self.error(400, "InvalidApiVersionParameter", "The api-version is not known.")
        if request.body or request.header("content-length") != "0":
            return self.error(411, "LengthRequired", "A body of no bytes is wanted.")
        if found[1] != self.subscription:
            return self.error(404, "SubscriptionNotFound", f"The subscription '{found[1]}' could not be found.")
        if found[2] != self.group or found[3] != self.account:
            return self.error(404, "ResourceNotFound", f"The Resource '{found[3]}' under resource group '{found[2]}' was not found.")
        if client not in self.may_list:
            return self.error(403, "AuthorizationFailed", f"The client '{client}' does not have authorization to perform action "
                              "'Microsoft.Storage/storageAccounts/listKeys/action'.")
        return Answer(200, json.dumps({"keys": [{"keyName": f"key{i + 1}", "value": key, "permissions": "FULL"}
                                                for i, key in enumerate(self.keys)]}), {"Content-Type": "application/json"})
