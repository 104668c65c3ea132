"""Who an Azure destination is: applications, workloads, machines, and the way round by the account's key."""

import base64
import json
import ssl
import time

import pytest

import azure_key
from arm import Arm
from azure_front import AzureFront
from azure_peers import ACCOUNT, KEY, azurite, azurite_command, container  # noqa: F401
from conftest import Peer
from desttool import pattern
from entra import Entra
from serving import Answer, make_certificate

CLIENT, SECRET = "c0ffee00-1111-4222-8333-444444444444", "s3cr~t/value+with=signs&more"
ISSUER, SUBJECT = "https://oidc.test/cluster", "system:serviceaccount:backup:holdfast"
SECOND_KEY = base64.b64encode(b"the account's other key, of which Azurite knows nothing" * 2).decode()


@pytest.fixture
def entra():
    with Entra() as e:
        e.applications[CLIENT] = SECRET
        yield e


@pytest.fixture
def guarded(azurite, entra):
    """A front that knows Entra's tokens; the application may do everything."""
    with AzureFront(azurite, entra=entra) as f:
        f.roles[CLIENT] = {"read", "write", "delete"}
        yield f


@pytest.fixture
def arm(entra):
    with Arm(entra, ACCOUNT) as a:
        a.keys = [KEY, SECOND_KEY]
        a.may_list.add(CLIENT)
        yield a


@pytest.fixture
def azure(guarded, entra, container, tool):
    def make(**fields):
        return tool(**{"provider": "azure", "endpoint": guarded.blob_url(), "bucket": container, "path": "p",
                       "storage_account": ACCOUNT, "tenant_id": entra.tenant, "client_id": CLIENT, "client_secret": SECRET,
                       "token_endpoint": entra.url, **fields})

    return make


def with_arm(arm):
    return {"subscription_id": arm.subscription, "resource_group": arm.group, "management_endpoint": arm.url}


def row(answer, step):
    return next(r for r in answer["rows"] if r["step"] == step)


def test_an_application_uses_the_blobs_by_its_own_token(azure, guarded, entra):
    t = azure()
    rows = t.ok("probe")
    assert CLIENT in row(rows, "authenticate")["text"] and entra.tenant in row(rows, "authenticate")["text"]
    t.ok("put", "k", "@1000")
    t.ok("multipart", "big", "@2500", "part-bytes=1000")
    assert t.bytes("k", 0, 1000) == pattern(1000) and t.keys("") == ["big", "k"]
    assert len(entra.given) == 1, "one token serves all requests"
    assert all((r.header("authorization") or "Bearer").startswith("Bearer") for r in guarded.requests)


@pytest.mark.parametrize("field, value, code, says", [
    ("client_secret", "wrong", "AADSTS7000215", "the client secret is wrong"),
    ("client_id", "00000000-0000-4000-8000-000000000000", "AADSTS700016", "no application"),
    ("tenant_id", "00000000-0000-4000-8000-000000000000", "AADSTS90002", "no such tenant"),
])
def test_what_entra_refuses_is_said_in_words(azure, field, value, code, says):
    answer = azure(**{field: value})("probe")
    assert not answer["ok"] and answer["kind"] == "person"
    failed = row(answer, "authenticate")
    assert failed["code"] == code and says in failed["text"]
    assert answer["rows"][-1] is failed
    assert SECRET not in json.dumps(answer)


def test_a_token_is_renewed_before_it_expires(azure, guarded, entra):
    entra.lifetime = 2
    t = azure()
    for _ in range(6):
        t.ok("put", "k", "@10")
        time.sleep(0.5)
    assert len(entra.given) >= 3


def test_a_token_that_is_refused_is_fetched_anew(azure, guarded, entra):
    t = azure()
    t.ok("put", "k", "@10")
    time.sleep(5.5)
    entra.revoked.update(entra.given)
    t.ok("put", "k", "@11")
    assert len(entra.given) == 2
    entra.revoked.update(entra.given)
    answer = t("put", "k", "@12")
    assert answer["kind"] == "person" and answer["status"] == 401
    assert len(entra.given) == 2, "a refusal that lasts makes no storm"


def test_entras_own_trouble_passes(azure, entra):
    entra.trouble = [Answer(503, "busy", {"Retry-After": "3"}), Answer(429, "{}"), Answer(200, "<html>proxy</html>")]
    t = azure()
    answers = [t("put", "k", "@10") for _ in range(3)]
    assert [a["kind"] for a in answers] == ["retry"] * 3
    assert answers[0]["retry_after_ms"] == 3000 and answers[1]["slow_down"]
    t.ok("put", "k", "@10")


def test_a_missing_role_is_named(azure, guarded):
    guarded.roles[CLIENT] = {"read"}
    answer = azure()("put", "k", "@10")
    assert answer["kind"] == "person" and answer["code"] == "AuthorizationPermissionMismatch"
    assert "Storage Blob Data Contributor" in answer["text"] and "containers/blobs/write" in answer["text"]


def test_without_a_role_the_accounts_key_is_listed_and_kept(azure, guarded, arm):
    guarded.roles.clear()
    t = azure(**with_arm(arm))
    rows = t.ok("probe")
    assert "account's key" in row(rows, "authenticate")["text"]
    t.ok("put", "k", "@10")
    t.ok("multipart", "big", "@2500", "part-bytes=1000")
    assert len(arm.requests) == 1
    assert KEY not in json.dumps(rows)


def test_a_role_is_used_where_there_is_one(azure, guarded, arm):
    azure(**with_arm(arm)).ok("put", "k", "@10")
    assert not arm.requests


def test_who_may_neither_learns_both_ways_out(azure, guarded, arm):
    guarded.roles.clear()
    arm.may_list.clear()
    answer = azure(**with_arm(arm))("put", "k", "@10")
    assert answer["kind"] == "person"
    assert "Storage Blob Data Contributor" in answer["text"]
    assert "Microsoft.Storage/storageAccounts/listKeys/action" in answer["text"]


@pytest.mark.parametrize("field, value", [("subscription_id", "0a1b2c3d-0000-4000-8000-00000000000b"), ("resource_group", "other")])
def test_an_account_that_is_not_found_says_what_to_correct(azure, guarded, arm, field, value):
    guarded.roles.clear()
    answer = azure(**{**with_arm(arm), field: value})("put", "k", "@10")
    assert answer["kind"] == "person" and "resource group" in answer["text"] and answer["status"] == 404


def test_keys_that_the_account_does_not_allow(azure, guarded, arm):
    guarded.roles.clear()
    guarded.allow_keys = False
    answer = azure(**with_arm(arm))("put", "k", "@10")
    assert answer["kind"] == "person" and answer["code"] == "KeyBasedAuthenticationNotPermitted"
    assert "Storage Blob Data Contributor" in answer["text"]


def test_a_rotated_key_is_listed_again_but_not_in_a_storm(azure, guarded, arm):
    guarded.roles.clear()
    t = azure(**with_arm(arm))
    t.ok("put", "k", "@10")
    guarded.key = SECOND_KEY
    arm.keys = [SECOND_KEY]
    for _ in range(3):
        answer = t("put", "k", "@10")
        assert answer["kind"] == "person" and answer["code"] == "AuthenticationFailed"
    assert len(arm.requests) == 1, "within half a minute"
    azure(**with_arm(arm)).ok("put", "k", "@10")


def federate(entra, **claims):
    now = int(time.time())
    return entra.cluster.make({"iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"], "nbf": now - 10,
                               "exp": now + 600, **claims})


def test_a_workload_is_known_by_its_file_which_is_read_anew(azure, entra, tmp_path, guarded, tool, container):
    entra.applications.clear()
    entra.federated[CLIENT] = (ISSUER, SUBJECT)
    entra.lifetime = 8  # used for half of that
    file = tmp_path / "token"
    file.write_text(federate(entra) + "\n")
    env = {"AZURE_FEDERATED_TOKEN_FILE": str(file), "AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": entra.tenant,
           "AZURE_AUTHORITY_HOST": entra.url + "/"}
    t = tool(provider="azure", endpoint=guarded.blob_url(), bucket=container, storage_account=ACCOUNT, use_instance_role=True,
             env=env)
    assert "workload identity " + CLIENT in row(t.ok("probe"), "authenticate")["text"]
    t.ok("put", "k", "@10")
    file.write_text(federate(entra, jti="second"))
    time.sleep(4.1)
    t.ok("put", "k", "@11")
    assert file.read_text() in entra.requests[-1].body.decode()


@pytest.mark.parametrize("claims, code", [
    ({"exp": 1}, "AADSTS700024"), ({"aud": "sts.amazonaws.com"}, "AADSTS700212"), ({"iss": "https://other"}, "AADSTS700211"),
    ({"sub": "system:serviceaccount:other:one"}, "AADSTS700213"),
])
def test_a_workloads_token_that_does_not_fit(azure, entra, tmp_path, claims, code):
    entra.federated[CLIENT] = (ISSUER, SUBJECT)
    file = tmp_path / "token"
    file.write_text(federate(entra, **claims))
    answer = azure(client_secret=None, web_identity_token_file=file)("probe")
    failed = row(answer, "authenticate")
    assert failed["code"] == code and answer["kind"] == "person"
    assert file.read_text() not in json.dumps(answer)


def test_a_workloads_file_that_is_missing(azure, tmp_path):
    answer = azure(client_secret=None, web_identity_token_file=tmp_path / "none")("put", "k", "@10")
    assert answer["kind"] == "person" and "workload" in answer["text"]


def test_a_machine_has_an_identity_of_its_own(azure, entra, guarded):
    entra.machine = CLIENT
    t = azure(client_secret=None, client_id=None, tenant_id=None, use_instance_role=True, metadata_endpoint=entra.url)
    text = row(t.ok("probe"), "authenticate")["text"]
    assert "managed identity" in text and f"(application {CLIENT}, object 0b1ec7-c0ffee00)" in text
    t.ok("put", "k", "@10")
    asked = entra.requests[-1]
    assert asked.path == "/metadata/identity/oauth2/token" and asked.header("metadata") == "true"


def test_a_machine_without_an_identity(azure, entra):
    t = azure(client_secret=None, use_instance_role=True, metadata_endpoint=entra.url)
    answer = t("put", "k", "@10")
    assert answer["kind"] == "person" and "metadata service" in answer["text"] and "Identity not found" in answer["text"]
    t = azure(client_secret=None, use_instance_role=True, metadata_endpoint="http://127.0.0.1:1")
    answer = t("put", "k", "@10")
    assert answer["kind"] == "person" and "client id and secret" in answer["text"]


CLOUDS = [
    (None, "login.microsoftonline.com", "management.azure.com", "blob.core.windows.net"),
    ("AzurePublicCloud", "login.microsoftonline.com", "management.azure.com", "blob.core.windows.net"),
    ("AzureUSGovernmentCloud", "login.microsoftonline.us", "management.usgovcloudapi.net", "blob.core.usgovcloudapi.net"),
    ("AzureChinaCloud", "login.chinacloudapi.cn", "management.chinacloudapi.cn", "blob.core.chinacloudapi.cn"),
    ("AzureGermanCloud", "login.microsoftonline.de", "management.microsoftazure.de", "blob.core.cloudapi.de"),
]


@pytest.mark.parametrize("cloud, login, management, blob", CLOUDS)
def test_every_clouds_services_are_where_they_are(azurite, container, tool, tmp_path, cloud, login, management, blob):
    host = f"kurlbackups.{blob}"
    with Entra(tls=True, names=(login,)) as entra, Arm(entra, "kurlbackups", tls=True, names=(management,)) as arm, \
            AzureFront(azurite, entra, account="kurlbackups", path_style=False, tls=True, names=(host,)) as front:
        entra.applications[CLIENT] = SECRET
        entra.resources.add(f"https://{management}")
        arm.audience = f"https://{management}"
        arm.may_list.add(CLIENT)
        arm.keys = [SECOND_KEY]
        front.key = SECOND_KEY
        ca = tmp_path / "ca.pem"
        ca.write_text("".join(open(f.ca).read() for f in (entra, arm, front)))
        resolve = "\n".join(f"{name}:443:127.0.0.1:{f.port}" for name, f in ((login, entra), (management, arm), (host, front)))
        t = tool(provider="azure", cloud_name=cloud, storage_account="kurlbackups", bucket=container, tenant_id=entra.tenant,
                 client_id=CLIENT, client_secret=SECRET, subscription_id=arm.subscription, resource_group=arm.group, ca_cert=ca,
                 resolve=resolve)
        rows = t.ok("probe")
        assert row(rows, "tls")["result"] == "ok"
        t.ok("put", "k", "@10")
        assert t.keys("") == ["k"]
        assert len(arm.requests) == 1


def test_azurite_itself_accepts_the_tokens(tool, tmp_path):
    """Azurite checks a token's issuer, audience and times, and wants TLS for it."""
    certificate, key = make_certificate(tmp_path, ("localhost",))
    peer = Peer(azurite_command("--oauth", "basic", "--cert", str(certificate), "--key", str(key)), seconds=60)
    try:
        azure_key.Client(peer.port, ACCOUNT, KEY, ssl.create_default_context(cafile=certificate)).ok(
            "PUT", "/copy", {"restype": "container"})
        with Entra() as entra:
            entra.applications[CLIENT] = SECRET
            fields = {"provider": "azure", "endpoint": f"https://localhost:{peer.port}/{ACCOUNT}", "bucket": "copy",
                      "ca_cert": certificate, "tenant_id": entra.tenant, "client_id": CLIENT, "client_secret": SECRET,
                      "token_endpoint": entra.url}
            t = tool(**fields)
            t.ok("put", "k", "@10")
            t.ok("multipart", "big", "@2500", "part-bytes=1000")
            assert t.keys("") == ["big", "k"]
            entra.clock_offset = -7200
            answer = tool(**fields)("put", "k", "@10")
            assert answer["kind"] == "person" and answer["status"] in (401, 403), "a token that has expired"
    finally:
        peer.close()


def test_a_machines_own_services_are_not_asked_by_a_proxy(azure, entra):
    entra.machine = CLIENT
    t = azure(client_secret=None, use_instance_role=True, proxy="http://127.0.0.1:1", resolve=f"169.254.169.254:80:127.0.0.1:{entra.port}")
    answer = t("put", "k", "@10")
    assert "The proxy http://127.0.0.1:1" in answer["text"], "for the blobs"
    assert [r.path for r in entra.requests] == ["/metadata/identity/oauth2/token"]
