"""Holdfasts that copy to one another, for tests of the whole program."""

import json
import re
import subprocess

import boto3
from botocore.config import Config

import harness

SCRUB_OFF = ["--scrub-rate", "0"]


def client(server):
    """A boto3 client that never retries."""
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
                    connect_timeout=10, read_timeout=120, max_pool_connections=32)
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1",
                        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key, config=config)


def cli(*words, status=0, stdin="", seconds=120):
    """Runs holdfast; its standard output."""
    done = subprocess.run([str(harness.BINARY), *map(str, words)], input=stdin, capture_output=True, text=True,
                          timeout=seconds)
    assert status is None or done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def add(near, far, name="far", path="copies", bucket="outside", *options):
    """Makes far a destination of near, with a bucket at far for it."""
    s3 = client(far)
    if bucket not in [b["Name"] for b in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=bucket)
    cli("destination", "add", name, "--data", near.data, "--provider", "s3", "--endpoint", far.endpoint, "--region",
        "us-east-1", "--bucket", bucket, "--path", path, "--access-key-id", far.access_key,
        "--secret-access-key-file", "-", *options, stdin=far.secret_key)


def status(near):
    return json.loads(cli("status", "--data", near.data, "--json"))


def destination(near, name="far"):
    return next(d for d in status(near)["destinations"] if d["name"] == name)


def settled(near, name="far"):
    d = destination(near, name)
    return d["state"] == "consistent" and d["lag_entries"] == 0


def wait_settled(near, name="far", seconds=60):
    harness.wait_until("the copy to be complete", lambda: settled(near, name), seconds)


def metric(server, name, labels=""):
    found = re.search(rf"^holdfast_{name}{re.escape(labels)} (\S+)$", server.metrics(), re.M)
    return float(found.group(1)) if found else None


def files(server):
    """Files of contents, oldest first."""
    found = [p for p in (server.data / "extents").rglob("*") if p.is_file()]
    return sorted(found, key=lambda p: int(p.name))


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x10]))


def keys(s3, bucket, prefix=""):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {o["Key"]: o for page in pages for o in page.get("Contents", [])}
