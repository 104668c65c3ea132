"""The Test button at all providers: what it names, and that it leaves nothing, however it ends."""

import json
import re

import harness
import pytest

from azure_front import AzureFront
from azure_peers import ACCOUNT, KEY, azurite, container, front as azure_front_  # noqa: F401
from desttool import TOP
from entra import Entra
from google_peers import account_file, bucket, fake_gcs, front, google, tokens  # noqa: F401
from holdfasts import SCRUB_OFF, cli, client, wait_settled
from s3_chaos import Rule, S3Chaos
from serving import Answer

CLIENT, SECRET = "c0ffee00-1111-4222-8333-444444444444", "secret"
LONG_AGO_S = 3600  # more than any test takes


def rows(answer):
    return {r["step"]: r for r in answer["rows"]}


def policy(page, language="json"):
    """The block that a page of the manual tells people to copy."""
    return json.loads(re.search(rf"```{language}\n(.*?)```", (TOP / "docs" / page).read_text(), re.S)[1])


class Killer:
    """Kills the tool when the server has served so many requests that change something."""

    def __init__(self, tool, after):
        self.tool, self.left = tool, after

    def see(self, request):
        if request.method in ("PUT", "POST", "DELETE") and self.tool is not None:
            self.left -= 1
            if self.left == 0:
                self.tool.process.kill()

    def run(self):
        """1 when the test was killed, 0 when it was over before."""
        self.tool.process.stdin.write("probe\n")
        self.tool.process.stdin.flush()
        killed = not self.tool.process.stdout.readline()
        if killed:
            self.tool.process.wait(10)
            self.tool.process.stdin.close()
            self.tool.process.stdout.close()
        else:
            self.tool.close()
        return killed


@pytest.fixture
def s3():
    with S3Chaos() as fake:
        yield fake


@pytest.fixture
def open_s3(s3, tool):
    def make(**more):
        return tool(**{"provider": "s3", "endpoint": s3.url, "region": "us-east-1", "bucket": s3.bucket, "path": "p/q",
                       "access_key_id": s3.ACCESS_KEY, "secret_access_key": s3.SECRET_KEY, **more})

    return make


@pytest.fixture
def azure(azurite, container, tool):
    """An application at a front of Azurite: azure(**fields), azure.front, azure.names()."""
    with Entra() as entra, AzureFront(azurite, entra=entra) as f:
        entra.applications[CLIENT] = SECRET
        f.roles[CLIENT] = {"read", "write", "delete"}

        def make(**fields):
            return tool(**{"provider": "azure", "endpoint": f.blob_url(), "bucket": container, "path": "p/q", "tenant_id": entra.tenant,
                           "client_id": CLIENT, "client_secret": SECRET, "token_endpoint": entra.url, **fields})

        def names():
            _, body = azurite.ok("GET", f"/{container}", {"restype": "container", "comp": "list", "include": "snapshots"})
            return re.findall(rb"<Name>([^<]*)</Name>", body)

        make.front, make.names = f, names
        yield make


# What a killed test left is removed by the next one

def test_s3_is_clean_after_the_test_that_follows_a_killed_one(s3, open_s3):
    left = 0
    for after in range(1, 40):
        killer = Killer(open_s3(), after)

        def watch(server, request, serve, killer=killer):
            answer = serve()
            killer.see(request)
            return answer

        s3.rules[:] = [Rule(watch, times=1000)]
        killed = killer.run()
        s3.rules.clear()
        left += len(s3.objects) + len(s3.uploads)
        s3.clock_offset += LONG_AGO_S
        open_s3().ok("probe")
        assert not s3.objects and not s3.uploads, after
        if not killed:
            break
    assert after > 8 and left > 8


def test_google_is_clean_after_the_test_that_follows_a_killed_one(google, front, fake_gcs, bucket):
    left = 0
    for after in (1, 2, 3, 5):
        killer = Killer(google(), after)
        front.after = lambda request, answer: killer.see(request) or answer
        assert killer.run()
        front.after = None
        left += len(fake_gcs.names(bucket))
        front.clock_offset += LONG_AGO_S
        google().ok("probe")
        assert fake_gcs.names(bucket) == [], after
    assert left >= 4


def test_azure_is_clean_after_the_test_that_follows_a_killed_one(azure):
    left = 0
    for after in range(1, 7):
        killer = Killer(azure(), after)
        azure.front.after = lambda request, answer: killer.see(request) or answer
        assert killer.run()
        azure.front.after = None
        left += len(azure.names())
        azure.front.clock_offset += LONG_AGO_S
        azure().ok("probe")
        assert azure.names() == [], after
    assert left >= 5


def test_a_test_that_runs_elsewhere_is_left_alone(s3, open_s3):
    t = open_s3()
    t.ok("put", "plugins/holdfast/probe-0123456789abcdef/object", "@5")
    begun = t.ok("begin", "plugins/holdfast/probe-0123456789abcdef/parts", "@5")
    t.ok("probe")
    assert list(s3.objects) == [b"p/q/plugins/holdfast/probe-0123456789abcdef/object"]
    assert list(s3.uploads) == [begun["state"]]


def test_only_tests_own_uploads_are_ended(s3, open_s3):
    t = open_s3()
    t.ok("begin", "backups/large", "@5")
    open_s3(path="p").ok("begin", "plugins/holdfast/probe-0123456789abcdef/parts", "@5")
    s3.clock_offset = LONG_AGO_S
    t.ok("probe")
    assert len(s3.uploads) == 2


def test_versions_that_may_not_be_removed_are_told(s3, open_s3):
    s3.versioning = True
    s3.denied.add("s3:DeleteObjectVersion")
    row = rows(open_s3().ok("probe"))["delete"]
    assert row["result"] == "warning" and "old versions" in row["text"]


def test_azures_versions_go_too(azure):
    def versioned(request, answer):
        if request.method == "PUT" and not re.search("comp=block(&|$)", request.query):
            made.append(f"2026-11-24T00:00:00.{len(made):07}Z")
        if request.method in ("PUT", "HEAD") and made and answer.status // 100 == 2:
            answer.headers["x-ms-version-id"] = made[-1]
        return answer

    def remove(request):
        found = re.search("versionid=([^&]+)", request.query)
        if not found:
            return None
        removed.append(found[1].replace("%3A", ":"))
        return Answer(202, b"", {"x-ms-request-id": "r"})

    made, removed = [], []
    azure.front.after, azure.front.before = versioned, remove
    azure().ok("probe")
    assert sorted(removed) == [made[0], *made[2:]]  # all but what a condition held back


def test_azure_is_not_written_to_where_a_policy_would_keep_it(azure):
    def locked(request, answer):
        if request.method == "HEAD" and "restype=container" in request.query:
            answer.headers["x-ms-has-immutability-policy"] = "true"
        return answer

    azure.front.after = locked
    found = rows(azure().ok("probe"))
    assert (found["lock"]["result"], found["put"]["result"]) == ("warning", "skipped")
    assert not [r for r in azure.front.requests if r.method in ("PUT", "DELETE")]


@pytest.mark.parametrize("provider", ["s3", "azure", "google"])
def test_a_condition_that_something_between_takes_away_is_noticed(provider, open_s3, s3, azure, google, front):
    def strip(request):
        request.headers = [(k, v) for k, v in request.headers if k != "if-none-match"]
        request.query = request.query.replace("ifGenerationMatch=0", "")

    if provider == "s3":
        s3.conditions = "ignore"
        t = open_s3(provider="aws")
    elif provider == "azure":
        azure.front.before = strip
        t = azure()
    else:
        front.before = strip
        t = google()
    row = rows(t("probe"))["overwrite"]
    assert row["result"] == "failed" and "replaced what was there" in row["text"]


# What is learnt

def test_what_the_test_found_out_is_remembered_and_found_out_anew(s3):
    def tagged_puts():
        return [r for r in s3.requests if r.method == "PUT" and r.header("x-amz-tagging")]

    def put(key):
        client(near).put_object(Bucket="bkt", Key=key, Body=b"x", Tagging="k=v")
        wait_settled(near)
        return s3.objects[f"p/bkt/{key}".encode()]

    near = harness.Server(args=SCRUB_OFF).start()
    try:
        s3.tagging = "drop"
        cli("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", s3.url, "--bucket", s3.bucket, "--path",
            "p", "--access-key-id", s3.ACCESS_KEY, "--secret-access-key-file", "-", stdin=s3.SECRET_KEY)
        client(near).create_bucket(Bucket="bkt")
        cli("destination", "test", "far", "--data", near.data)
        assert len(tagged_puts()) == 1
        assert put("one")["headers"]["x-amz-meta-holdfast-tags"] == "k=v"
        near.restart()
        assert put("two")["headers"]["x-amz-meta-holdfast-tags"] == "k=v"
        assert len(tagged_puts()) == 1
        s3.tagging = "keep"
        cli("destination", "test", "far", "--data", near.data)
        assert put("three")["tags"] == [("k", "v")]
    finally:
        near.close()


# The permissions that the manual tells people to give are enough, and each is named when it is missing

AWS = {a for statement in policy("aws.md")["Statement"] for a in statement["Action"]}
AWS_OPTIONAL = {"s3:PutObjectTagging", "s3:GetObjectTagging", "s3:ListBucketMultipartUploads", "s3:GetLifecycleConfiguration",
                "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"}


def whole_life(t):
    assert t.ok("probe")["ok"]
    t.ok("put", "a", "@5", "tag:k=v", "attr:x-amz-meta-long=" + "x" * 12000)
    t.ok("put", "b", "@5", "tag:k=v")
    t.ok("multipart", "c", "@9000000")
    t.ok("put", "b", "@6", "version=8")
    t("retag", "b", "@6", "tag:k=w", "version=9")
    begun = t.ok("begin", "d", "@9000000")
    t.ok("abort", "d", begun["state"])
    t.ok("get", "b", 1, 3, "/dev/null")
    for key in t.keys():
        t.ok("stat", key)
    for key in ("a", "b", "c", "not there"):
        t.ok("remove", key)
    assert t.keys() == []
    assert t("stat", "a")["kind"] == "missing"


@pytest.mark.parametrize("provider", ["aws", "s3"])
def test_the_policy_for_s3_is_enough(s3, tool, open_s3, provider):
    s3.allowed = AWS
    whole_life(open_s3(provider=provider))
    assert not s3.objects


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("permission", sorted(AWS - AWS_OPTIONAL))
def test_each_permission_of_the_policy_for_s3_is_named(s3, open_s3, permission, quiet):
    """Also by stores that do not name it themselves."""
    s3.allowed, s3.quiet = AWS - {permission}, quiet
    answer = open_s3()("probe")
    failed = [r for r in answer["rows"] if r["result"] == "failed"]
    assert not answer["ok"] and failed and all(f"Permission {permission} is missing" in r["text"] for r in failed)
    assert all(r["code"] and r["request_id"] for r in failed)


@pytest.mark.parametrize("provider", ["aws", "s3"])
def test_what_may_be_left_out_at_s3_may(s3, open_s3, provider):
    s3.allowed = AWS - AWS_OPTIONAL
    whole_life(open_s3(provider=provider))
    t = open_s3(provider=provider)
    t.ok("put", "b", "@5", "tag:k=v")
    assert t.ok("stat", "b")["tags"] == {"k": "v"}


def test_a_key_services_permission_is_named(s3, open_s3):
    s3.rules.append(Rule(lambda server, request, serve: server.error(
        403, "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: kms:GenerateDataKey on resource: k"), times=9, method="PUT"))
    assert "Permission kms:GenerateDataKey is missing" in rows(open_s3()("probe"))["put"]["text"]


GOOGLE = set(policy("google.md")["includedPermissions"])


def test_the_role_for_google_is_enough(google, front):
    front.allowed = GOOGLE
    whole_life(google())


@pytest.mark.parametrize("permission", sorted(GOOGLE - {"storage.buckets.get"}))
def test_each_permission_of_the_role_for_google_is_named(google, front, permission):
    front.allowed = GOOGLE - {permission}
    answer = google()("probe")
    failed = [r for r in answer["rows"] if r["result"] == "failed"]
    assert not answer["ok"] and failed and all(f"Permission {permission} is missing" in r["text"] for r in failed)
    assert all(r["code"] and r["request_id"] for r in failed)


AZURE = policy("azure.md")
AZURE_RIGHTS = {name.rpartition("/")[2] for name in AZURE["DataActions"]}


def test_the_role_for_azure_is_enough(azure):
    azure.front.roles[CLIENT] = AZURE_RIGHTS
    whole_life(azure())


@pytest.mark.parametrize("right", sorted(AZURE_RIGHTS))
def test_each_permission_of_the_role_for_azure_is_named(azure, right):
    azure.front.roles[CLIENT] = AZURE_RIGHTS - {right}
    answer = azure()("probe")
    failed = [r for r in answer["rows"] if r["result"] == "failed"]
    name = next(n for n in AZURE["DataActions"] if n.endswith("/" + right))
    assert not answer["ok"] and failed and all(f"Permission {name} is missing" in r["text"] for r in failed)
    assert all(r["code"] and r["request_id"] for r in failed)
