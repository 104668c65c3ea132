"""Who a Google destination is: service accounts by key, machines, workloads; and what the Test button says."""

import json
import time

import pytest

from desttool import open_fails
from google_front import refusal
from google_peers import account_file, bucket, fake_gcs, front, google, metadata, tokens  # noqa: F401
from google_token import POOL
from jwt_keys import Signer
from serving import Answer


def rows_of(answer):
    return {row["step"]: row for row in answer["rows"]}


@pytest.fixture
def machine(google, metadata):
    return lambda **fields: google("--use-instance-role", service_account_json=None, token_endpoint=None,
                                   metadata_endpoint=metadata.url, **fields)


# ---- a service account's key ----

def test_a_token_is_bought_once_and_kept(google, tokens):
    t = google()
    for i in range(5):
        t.ok("put", f"k{i}", "@10")
    assert len(tokens.requests) == 1 and not tokens.refusals


def test_a_short_token_is_renewed_before_it_ends(google, tokens, front):
    tokens.lifetime = 2
    t = google()
    for _ in range(8):
        t.ok("stat" if front.requests else "put", "a", *([] if front.requests else ["@1"]))
        time.sleep(0.4)
    assert 2 <= len(tokens.requests) <= 5
    assert not [r for r in front.requests if tokens.principal_of(r.header("authorization")) not in (None, tokens.email)]


def test_a_refused_token_is_fetched_once_again(google, tokens, front):
    t = google()
    t.ok("put", "a", "@1")
    tokens.revoked.update(tokens.given)
    time.sleep(5.1)  # a storm of refusals does not become one of fetches
    t.ok("stat", "a")
    assert len(tokens.requests) == 2


def test_a_refusal_that_lasts_needs_a_person(google, tokens, front):
    t = google()
    front.before = lambda request: refusal(401, "authError", "Invalid Credentials")
    said = t("put", "a", "@1")
    assert said["kind"] == "person" and tokens.email in said["text"]
    assert len(front.requests) == 2


def test_a_wrong_clock_is_corrected_from_googles(google, tokens, front):
    tokens.clock_offset = front.clock_offset = -7200
    google().ok("put", "a", "@1")
    assert len(tokens.refusals) == 1 and "short-lived" in tokens.refusals[0]


@pytest.mark.parametrize("change, words", [
    ({"signer": Signer}, "was deleted or disabled"),
    ({"email": lambda: "gone@project.iam.gserviceaccount.com"}, "does not exist"),
    ({"disabled": lambda: "Service account is disabled."}, "disabled"),
])
def test_why_there_is_no_token_is_said(google, tokens, change, words):
    t = google()
    for name, make in change.items():
        setattr(tokens, name, make())
    said = t("put", "a", "@1")
    assert (said["kind"], said["code"]) == ("person", "invalid_grant")
    assert words in said["text"]


def test_a_token_endpoint_that_is_down_is_waited_for(google, tokens):
    t = google()
    tokens.answer = lambda request: Answer(503, "busy", {"Retry-After": "7"})
    said = t("put", "a", "@1")
    assert (said["kind"], said["retry_after_ms"], said["fate_unknown"]) == ("retry", 7000, False)
    tokens.close()
    assert google()("put", "a", "@1")["kind"] == "retry"


def test_the_key_file_is_checked_before_the_network(tokens, tmp_path):
    def fails(text):
        path = tmp_path / "key.json"
        path.write_text(text)
        return open_fails(provider="google", bucket="bucket", service_account_json=path)

    assert "no JSON" in fails("-----BEGIN PRIVATE KEY-----")
    assert "private_key is missing" in fails(tokens.account_json(private_key=None))
    assert "client_email is missing" in fails(tokens.account_json(client_email=None))
    assert "damaged" in fails(tokens.account_json(private_key=tokens.signer.key.read_text()[:500]))
    assert "token_uri" in fails(tokens.account_json(token_uri="http://127.0.0.1/token"))
    assert "person's credentials" in fails(json.dumps({"type": "authorized_user", "refresh_token": "r"}))
    assert "type" in fails("{}")
    for text in (fails(tokens.account_json(private_key=tokens.signer.public.read_text())), fails(tokens.account_json(type="x"))):
        assert "BEGIN" not in text
    assert "service-account-json" in open_fails(provider="google", bucket="bucket")


# ---- a machine's account ----

def test_a_machine_uses_its_account(machine, metadata, tokens):
    t = machine()
    t.ok("put", "a", "@1")
    t.ok("stat", "a")
    assert metadata.calls == 1 and not tokens.requests
    assert metadata.email in rows_of(t("probe"))["authenticate"]["text"]


def test_a_machine_uses_the_account_that_is_named(machine, metadata):
    machine(service_account=metadata.email).ok("put", "a", "@1")
    said = machine(service_account="other@project.iam.gserviceaccount.com")("put", "a", "@1")
    assert said["kind"] == "person" and "attach" in said["text"]


def test_a_machine_without_an_account_is_told(machine, metadata):
    metadata.email = None
    said = machine()("put", "a", "@1")
    assert said["kind"] == "person" and "no service account" in said["text"]


def test_what_is_no_metadata_server_gives_no_token(machine, metadata):
    metadata.flavor = "Other"
    assert "not Google's" in machine()("put", "a", "@1")["text"]
    metadata.close()
    assert "No instance role was found" in machine()("put", "a", "@1")["text"]


# ---- a workload's identity ----

@pytest.fixture
def workload(google, tokens, tmp_path):
    subject = tmp_path / "subject"

    def make(claims=None, as_json=False, **changes):
        claims = {"sub": tokens.subject, "exp": time.time() + 600, **(claims or {})}
        token = tokens.cluster.make(claims)
        subject.write_text(json.dumps({"id_token": token}) if as_json else token + "\n")
        source = {"file": str(subject)}
        if as_json:
            source["format"] = {"type": "json", "subject_token_field_name": "id_token"}
        path = tmp_path / "workload.json"
        path.write_text(json.dumps({"type": "external_account", "audience": POOL, "token_url": "https://sts.googleapis.com/v1/token",
                                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": source,
                                    **changes}))
        return google(service_account_json=path, token_endpoint=None, sts_endpoint=tokens.url + "/v1/token")

    return make


@pytest.mark.parametrize("as_json", [False, True])
def test_a_workloads_token_is_exchanged(workload, as_json):
    workload(as_json=as_json).ok("put", "a", "@1")


def test_a_workload_acts_as_an_account(workload, tokens, front):
    account = "backup@project.iam.gserviceaccount.com"
    url = f"{tokens.url}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    said = workload(service_account_impersonation_url=url)("put", "a", "@1")
    assert said["kind"] == "person" and "roles/iam.workloadIdentityUser" in said["text"]
    tokens.may_act_as.add(account)
    workload(service_account_impersonation_url=url).ok("put", "a", "@1")
    assert tokens.principal_of(front.requests[-1].header("authorization")) == account


def test_a_workloads_token_that_is_refused_is_told(workload, tokens):
    for claims in ({"sub": "other"}, {"exp": time.time() - 10}):
        said = workload(claims)("put", "a", "@1")
        assert (said["kind"], said["code"]) == ("person", "invalid_grant")


def test_tokens_of_workloads_go_to_google_alone(tmp_path):
    def fails(**changes):
        path = tmp_path / "workload.json"
        path.write_text(json.dumps({"type": "external_account", "audience": POOL, "subject_token_type": "t",
                                    "credential_source": {"file": "/f"}, **changes}))
        return open_fails(provider="google", bucket="bucket", service_account_json=path)

    assert "not Google's" in fails(token_url="https://sts.googleapis.com.evil.test/v1/token")
    assert "not Google's" in fails(token_url="http://sts.googleapis.com/v1/token")
    assert "not Google's" in fails(token_url="https://sts.googleapis.com@evil.test/")
    assert "not Google's" in fails(service_account_impersonation_url="https://evil.test/x")
    assert "in a file" in fails(credential_source={"url": "http://x"})


# ---- the Test button ----

def test_the_probe_passes_and_leaves_nothing(google, tokens, fake_gcs, front, bucket):
    answer = google()("probe")
    assert answer["ok"], answer
    rows = rows_of(answer)
    steps = ("resolve", "connect", "authenticate", "bucket", "list", "put", "get range", "overwrite", "multipart", "delete")
    assert [rows[s]["result"] for s in steps] == ["ok"] * len(steps)
    assert [s for s in rows if s in steps] == list(steps)
    assert tokens.email in rows["authenticate"]["text"]
    assert fake_gcs.names(bucket) == []
    assert all(u.dead or u.done for u in front.uploads.values())
    written = [r for r in front.requests if r.method in ("PUT", "POST", "DELETE") and "upload_id" not in r.query]
    assert len(written) >= 4 and all(b"p/plugins/holdfast/probe-" in r.body or "probe-" in r.path for r in written)


@pytest.mark.parametrize("permission, step", [
    ("storage.objects.list", "list"), ("storage.objects.create", "put"), ("storage.objects.get", "get range"),
    ("storage.objects.delete", "delete")])
def test_the_probe_names_the_missing_permission_in_its_row(google, front, permission, step):
    front.denied[permission] = "forbidden"
    answer = google()("probe")
    row = rows_of(answer)[step]
    assert not answer["ok"]
    assert row["result"] == "failed" and permission in row["text"] and row["code"] == "forbidden"


def test_the_probe_does_without_seeing_the_buckets_rules(google, front):
    front.denied["storage.buckets.get"] = "forbidden"
    answer = google()("probe")
    assert answer["ok"]
    assert "storage.buckets.get" in rows_of(answer)["lock"]["text"]


def test_the_probe_tells_of_rules_that_will_bite(google, front):
    front.bucket_members = {"versioning": {"enabled": True}, "softDeletePolicy": {"retentionDurationSeconds": "604800"},
                            "lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30}}]}}
    answer = google()("probe")
    rows = rows_of(answer)
    assert answer["ok"]
    assert [rows[s]["result"] for s in ("versioning", "soft delete", "lifecycle")] == ["warning"] * 3
    assert "7 days" in rows["soft delete"]["text"] and "30 days" in rows["lifecycle"]["text"]
    front.bucket_members["lifecycle"]["rule"][0]["condition"]["matchesPrefix"] = ["other/"]
    assert rows_of(google()("probe"))["lifecycle"]["result"] == "ok"


def test_the_probe_writes_nothing_where_it_would_be_kept(google, front, fake_gcs, bucket):
    front.bucket_members = {"retentionPolicy": {"retentionPeriod": "2592000", "isLocked": True}}
    rows = rows_of(google()("probe"))
    assert rows["lock"]["result"] == "warning" and "30 days" in rows["lock"]["text"]
    assert rows["put"]["result"] == "skipped"
    assert fake_gcs.names(bucket) == []


def test_the_probe_says_what_is_wrong_first(google, tokens, front):
    assert rows_of(google(bucket="no-such-bucket")("probe"))["bucket"]["result"] == "failed"
    tokens.disabled = "Service account is disabled."
    rows = rows_of(google()("probe"))
    assert rows["authenticate"]["result"] == "failed" and "list" not in rows
    front.close()
    assert rows_of(google()("probe"))["connect"]["result"] == "failed"


# ---- secrets ----

def test_no_answer_holds_a_secret(google, tokens, front):
    key = "".join(tokens.signer.key.read_text().split("\n")[1:3])
    t = google()
    answers = [t("put", "a", "@1"), t("probe"), t("limits")]
    tokens.signer = Signer()
    answers.append(google()("put", "a", "@1"))
    text = json.dumps(answers)
    assert key not in text and "ya29." not in text
