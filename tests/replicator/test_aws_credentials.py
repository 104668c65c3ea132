"""Credentials of an instance role: each source is a strict fake, and the store lets in only whom it vouches for."""

import os
import time

import pytest

import jwt_keys
from container_credentials import ContainerCredentials
from desttool import open_fails
from imds import Imds
from s3_chaos import Rule, S3Chaos, cut_after, cut_before, slow_down
from sts import AUDIENCE, Sts

ROLE = "arn:aws:iam::123456789012:role/backup"


@pytest.fixture(scope="module")
def signer():
    return jwt_keys.Signer()


@pytest.fixture
def s3():
    with S3Chaos() as fake:
        fake.keys.clear()
        yield fake


@pytest.fixture
def open_s3(tool, s3):
    """The destination by an instance role, with what the test adds."""
    def make(env=None, **more):
        fields = {"provider": "s3", "endpoint": s3.url, "bucket": "bucket", "path": "p", "use_instance_role": True,
                  # Nothing outside of the test is ever asked.
                  "metadata_endpoint": "http://127.0.0.1:1"}
        fields.update(more)
        return tool(env=env, **fields)

    return make


@pytest.fixture
def sts(s3, signer):
    with Sts(signer) as fake:
        s3.sources.append(fake)
        yield fake


@pytest.fixture
def token_file(tmp_path, signer):
    def write(audience=AUDIENCE, seconds=3600, by=None):
        claims = {"aud": [audience], "exp": int(time.time()) + seconds, "sub": "system:serviceaccount:velero:holdfast"}
        (tmp_path / "token").write_text((by or signer).make(claims))
        return tmp_path / "token"

    return write


@pytest.fixture
def imds(s3):
    with Imds() as fake:
        s3.sources.append(fake)
        yield fake


@pytest.fixture
def container(s3):
    with ContainerCredentials("pod-token-1") as fake:
        s3.sources.append(fake)
        yield fake


def authenticate_row(t):
    return next(r for r in t("probe")["rows"] if r["step"] == "authenticate")


# Web identity

def test_web_identity_is_exchanged_at_sts(open_s3, sts, token_file):
    t = open_s3(web_identity_token_file=token_file(), role_arn=ROLE, sts_endpoint=sts.url)
    for name in ("a", "b", "c"):
        t.ok("put", name, "@5")
    assert sts.calls == 1
    text = authenticate_row(t)["text"]
    assert "web identity" in text and ROLE in text


def test_the_environment_names_the_web_identity(open_s3, sts, token_file):
    t = open_s3(env={"AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file()), "AWS_ROLE_ARN": ROLE, "AWS_ENDPOINT_URL_STS": sts.url})
    t.ok("put", "a", "@5")


def test_the_environment_is_not_read_for_a_key_that_was_given(tool, s3, sts, token_file):
    s3.keys["AKID"] = ("secret", None)
    t = tool(provider="s3", endpoint=s3.url, bucket="bucket", access_key_id="AKID", secret_access_key="secret",
             env={"AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file()), "AWS_ROLE_ARN": ROLE, "AWS_ENDPOINT_URL_STS": sts.url,
                  "AWS_SESSION_TOKEN": "stray", "http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"})
    t.ok("put", "a", "@5")
    assert sts.calls == 0


def test_the_token_file_is_read_anew_each_time(open_s3, sts, token_file):
    sts.lifetime = 200  # below the five minutes that keys are renewed before
    token = token_file()
    t = open_s3(web_identity_token_file=token, role_arn=ROLE, sts_endpoint=sts.url)
    t.ok("put", "a", "@5")
    first = token.read_text()
    token_file(seconds=7200)
    assert token.read_text() != first
    sts.given.clear()  # what was given is refused from now on
    t.ok("sleep", 2100)
    t.ok("put", "b", "@5")
    assert sts.calls == 2
    assert token.read_text() in sts.requests[-1].body.decode()


@pytest.mark.parametrize("how,words", [
    ({"audience": "other"}, "audience"), ({"seconds": -10}, "expired"), ({"by": "stranger"}, "verification key")])
def test_a_token_that_sts_refuses_waits_for_a_person(open_s3, sts, token_file, how, words):
    if "by" in how:
        how = {"by": jwt_keys.Signer()}
    t = open_s3(web_identity_token_file=token_file(**how), role_arn=ROLE, sts_endpoint=sts.url)
    answer = t("put", "a", "@5")
    assert answer["kind"] == "person"
    assert words in answer["text"].lower()


def test_a_role_that_does_not_trust_names_the_permission(open_s3, sts, token_file):
    sts.trusts = False
    t = open_s3(web_identity_token_file=token_file(), role_arn=ROLE, sts_endpoint=sts.url)
    assert "sts:AssumeRoleWithWebIdentity" in t("put", "a", "@5")["text"]
    row = authenticate_row(t)
    assert (row["result"], row["code"]) == ("failed", "AccessDenied")


def test_a_token_file_that_is_missing(open_s3, sts, tmp_path):
    t = open_s3(web_identity_token_file=tmp_path / "none", role_arn=ROLE, sts_endpoint=sts.url)
    answer = t("put", "a", "@5")
    assert answer["kind"] == "person" and "none" in answer["text"]


# Container

def test_container_credentials_with_the_authorization_of_the_moment(open_s3, s3, container, tmp_path):
    (tmp_path / "authorization").write_text("pod-token-1\n")
    container.lifetime = 200
    t = open_s3(container_credentials_uri=container.uri, container_authorization_token_file=tmp_path / "authorization")
    t.ok("put", "a", "@5")
    container.authorization = "pod-token-2"
    (tmp_path / "authorization").write_text("pod-token-2")
    container.given.clear()
    t.ok("sleep", 2100)
    t.ok("put", "b", "@5")
    assert container.calls == 2
    assert "container" in authenticate_row(t)["text"]


def test_container_credentials_by_the_environment(open_s3, container):
    t = open_s3(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token-1"})
    t.ok("put", "a", "@5")


def test_a_wrong_authorization_is_refused(open_s3, container):
    t = open_s3(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token-0"})
    answer = t("put", "a", "@5")
    assert (answer["kind"], answer["status"]) == ("person", 401)


@pytest.mark.parametrize("uri", ["http://10.0.0.1/creds", "http://localhost.example.com/c", "http://127.0.0.1@evil/x",
                                 "http://169.254.170.2.example.com/"])
def test_container_credentials_do_not_come_from_anywhere_in_the_clear(open_s3, uri):
    answer = open_s3(container_credentials_uri=uri)("put", "a", "@5")
    assert answer["kind"] == "person" and "neither https nor on this machine" in answer["text"]


# Instance metadata

def test_instance_metadata_version_two(open_s3, imds):
    t = open_s3(metadata_endpoint=imds.url)
    for name in ("a", "b"):
        t.ok("put", name, "@5")
    assert imds.calls == 1
    text = authenticate_row(t)["text"]
    assert "instance metadata" in text and "backup-node" in text
    assert all(r.method == "PUT" or r.header("x-aws-ec2-metadata-token") for r in imds.requests)


def test_keys_are_renewed_before_they_expire(open_s3, imds):
    """Good for four minutes: renewed at once, though not more often than each half minute."""
    imds.lifetime = 240
    t = open_s3(metadata_endpoint=imds.url)
    for _ in range(5):
        t.ok("put", "a", "@5")
    assert imds.calls == 1


def test_keys_that_expire_while_they_are_used_are_fetched_again(open_s3, s3, imds):
    t = open_s3(metadata_endpoint=imds.url)
    t.ok("put", "a", "@5")
    s3.expired |= set(imds.given)
    t.ok("sleep", 2100)
    t.ok("put", "a", "@5")
    t.ok("put", "big", "@3000000")
    assert imds.calls == 2


def test_a_clock_that_is_off_does_not_confuse_expiry(open_s3, s3, imds):
    s3.clock_offset = imds.clock_offset = 86400
    t = open_s3(metadata_endpoint=imds.url)
    for _ in range(3):
        t.ok("put", "a", "@5")
    s3.clock_offset = imds.clock_offset = -86400
    t.ok("sleep", 2100)
    for _ in range(3):
        t.ok("put", "a", "@5")


def test_a_refusal_that_lasts_is_no_storm(open_s3, s3, imds):
    t = open_s3(metadata_endpoint=imds.url)
    t.ok("put", "a", "@5")
    s3.sources.clear()
    for _ in range(20):
        assert t("put", "a", "@5")["kind"] == "person"
    assert imds.calls <= 2


def test_a_machine_without_a_role(open_s3, imds):
    imds.role = None
    answer = open_s3(metadata_endpoint=imds.url)("put", "a", "@5")
    assert answer["kind"] == "person" and "no instance role" in answer["text"]


def test_a_hop_limit_that_is_too_low_is_named(open_s3, imds):
    imds.silent = True
    answer = open_s3(metadata_endpoint=imds.url)("put", "a", "@5")
    assert answer["kind"] == "person" and "hop limit" in answer["text"]


def test_no_source_at_all(open_s3):
    answer = open_s3()("put", "a", "@5")
    assert answer["kind"] == "person" and "No instance role was found" in answer["text"]


# Their order

def test_the_narrowest_identity_wins(open_s3, sts, container, imds, token_file):
    everything = {"web_identity_token_file": token_file(), "role_arn": ROLE, "sts_endpoint": sts.url,
                  "container_credentials_uri": container.uri, "metadata_endpoint": imds.url}
    open_s3(**everything).ok("put", "a", "@5")
    assert (sts.calls, container.calls, imds.calls) == (1, 0, 0)
    del everything["role_arn"]
    open_s3(env={"AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token-1"}, **everything).ok("put", "a", "@5")
    assert (sts.calls, container.calls, imds.calls) == (1, 1, 0)
    del everything["container_credentials_uri"]
    open_s3(**everything).ok("put", "a", "@5")
    assert (sts.calls, container.calls, imds.calls) == (1, 1, 1)


def test_a_key_pair_needs_both_halves():
    where = {"provider": "s3", "endpoint": "http://h", "bucket": "bucket"}
    assert "instance role" in open_fails(**where)
    assert "secret-access-key" in open_fails(access_key_id="a", **where)


def test_the_identity_is_asked_for_at_aws(tool, sts):
    with S3Chaos(tls=True, names=["bucket.s3.us-east-1.amazonaws.com"]) as s3:
        sts.known[s3.ACCESS_KEY] = (s3.SECRET_KEY, "arn:aws:iam::123456789012:user/velero")
        t = tool(provider="aws", region="us-east-1", bucket="bucket", path="p", access_key_id=s3.ACCESS_KEY,
                 secret_access_key=s3.SECRET_KEY, ca_cert=s3.ca, sts_endpoint=sts.url,
                 resolve=f"bucket.s3.us-east-1.amazonaws.com:443:127.0.0.1:{s3.port}")
        assert "arn:aws:iam::123456789012:user/velero" in authenticate_row(t)["text"]


def test_many_sessions_share_what_one_learns(open_s3, s3, imds):
    """Keys that are withdrawn, a region to learn and slow answers while eight threads work: each fetches no keys of its own."""
    t = open_s3(metadata_endpoint=imds.url)
    t.ok("put", "first", "@5")
    t.ok("sleep", 2100)
    s3.region = "eu-west-1"
    s3.rules += [Rule(slow_down, times=20, method="PUT"), Rule(cut_before, times=10, method="HEAD"),
                 Rule(cut_after, times=10, method="DELETE")]
    s3.expired |= set(imds.given)
    t.ok("storm", "many", 8, 20, "@3000")
    assert imds.calls == 2
    assert list(s3.objects) == [b"p/first"]


@pytest.mark.parametrize("source", ["web identity", "container", "instance metadata"])
@pytest.mark.parametrize("why", ["refused", pytest.param("soon over", marks=pytest.mark.skipif(
    "HOLDFAST_BIG" not in os.environ, reason="takes half a minute; in tests/nightly"))])
def test_each_source_is_asked_again_in_time(open_s3, s3, sts, container, imds, token_file, source, why):
    fake, fields = {"web identity": (sts, {"web_identity_token_file": token_file(), "role_arn": ROLE, "sts_endpoint": sts.url}),
                    "container": (container, {"container_credentials_uri": container.uri}),
                    "instance metadata": (imds, {"metadata_endpoint": imds.url})}[source]
    env = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token-1"} if source == "container" else None
    fake.lifetime = 3600 if why == "refused" else 200
    t = open_s3(env=env, **fields)
    t.ok("put", "a", "@5")
    if why == "refused":
        s3.expired |= set(fake.given)
        t.ok("sleep", 2100)
        refused = len(s3.requests)
        t.ok("put", "b", "@5")
        assert len(s3.requests) == refused + 2
    else:
        t.ok("sleep", 31000)
        t.ok("put", "b", "@5")
    assert fake.calls == 2
