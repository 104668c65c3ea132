"""Places outside for tests of the whole: one of each protocol, behind a link that can be cut, and seen by its own means.

    with open_place("azurite") as place:
        place.add(near, "--brake-percent", "100")
        place.link.cut()
        place.frozen()   # {key below the path: its identity there}, once nothing moves any more
        place.read(key)  # its bytes
"""

import collections
import json
import re
import time
import urllib.parse

import boto3
from botocore.config import Config

import azure_key
import harness
from azure_peers import ACCOUNT, KEY, azurite_command
from chaos_proxy import ChaosProxy
from conftest import Peer, program_beside_python
from google_front import GoogleFront
from google_peers import Behind, fake_gcs_command
from google_token import GoogleToken
from holdfasts import SCRUB_OFF, cli

PLACES = ("holdfast", "moto", "azurite", "google")
PATH = "copy/"
OWN = "plugins/holdfast/"
MIB = 1 << 20
SETTLE_SECONDS = 20


class Place:
    """add(), listing(), read(), write() and unfinished() are the protocol's own."""

    name = None
    forgets = False  # unfinished uploads by itself, after a week; nobody can list them

    def __init__(self, target, seed=1):
        self.link = ChaosProxy(target, seed)
        self.links = [self.link]

    def another_link(self):
        """For a second store that comes to the same place."""
        self.links.append(ChaosProxy(self.link.target, len(self.links)))
        return self.links[-1]

    def close(self):
        for link in self.links:
            link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def frozen(self):
        """What is there, the link being cut: also when what had arrived whole has been done."""
        deadline = time.monotonic() + SETTLE_SECONDS
        time.sleep(0.1)
        before = self.listing()
        while True:
            time.sleep(0.1)
            after = self.listing()
            if after == before:
                return {k: v for k, v in after.items() if not k.startswith(OWN)}
            assert time.monotonic() < deadline, "the place does not come to rest"
            before = after

    def fetch(self, listed, to, kept):
        """What is listed, as files below a folder; kept remembers what is there already from a call before."""
        for key in [k for k in kept if kept[k] != listed.get(k)]:
            (to / key).unlink(missing_ok=True)
            del kept[key]
        for key, identity in listed.items():
            if key not in kept:
                (to / key).parent.mkdir(parents=True, exist_ok=True)
                (to / key).write_bytes(self.read(key))
                kept[key] = identity

    @staticmethod
    def small_put_of(key):
        """What stands in the first line of that request."""
        return key

    def written(self):
        """First lines of requests, as the link saw them, that change anything."""
        return [line for _, line in self.link.asked if re.match(r"(?:PUT|POST|PATCH|DELETE) ", line)]

    def removed_keys(self):
        """Keys that were asked to be removed, as the link saw it."""
        found = []
        for _, line in self.link.asked:
            said = re.match(r"DELETE ([^ ?]*)(?:\?([^ ]*))? ", line)
            if said and "uploadId=" not in (said[2] or "") and "upload_id=" not in (said[2] or ""):
                key = urllib.parse.unquote(urllib.parse.unquote(said[1]).partition(PATH)[2])
                if not key.startswith(OWN):
                    found.append(key)
        return found


class S3Place(Place):
    access_key, secret_key = "kurl", "mZ8vE2e-only+secret/0123456789=="

    def __init__(self, target, endpoint):
        super().__init__(target)
        self.s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=self.access_key,
                               aws_secret_access_key=self.secret_key,
                               config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=32))
        self.s3.create_bucket(Bucket="outside")

    def add(self, near, *options, link=None, status=0, command=("destination", "add", "far")):
        return cli(*command, "--data", near.data, "--provider", "s3", "--endpoint", (link or self.link).url,
                   "--region", "us-east-1", "--bucket", "outside", "--path", "copy", "--access-key-id", self.access_key,
                   "--secret-access-key-file", "-", *options, stdin=self.secret_key, status=status)

    def listing(self):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="outside", Prefix=PATH)
        return {e["Key"][len(PATH):]: f"{e['ETag']} {e['Size']} {e['LastModified']}" for p in pages for e in p.get("Contents", [])}

    def read(self, key):
        return self.s3.get_object(Bucket="outside", Key=PATH + key)["Body"].read()

    def write(self, key, body):
        """As others do who know nothing of holdfast."""
        self.s3.put_object(Bucket="outside", Key=PATH + key, Body=body, Metadata={"x": "y"})

    def unfinished(self):
        return [u["Key"] for u in self.s3.list_multipart_uploads(Bucket="outside").get("Uploads", [])]


class HoldfastPlace(S3Place):
    name = "holdfast"

    def __init__(self):
        self.server = harness.Server(args=SCRUB_OFF, key_pair=(self.access_key, self.secret_key)).start()
        super().__init__(self.server.address, self.server.endpoint)

    def close(self):
        super().close()
        self.server.close()


class MotoPlace(S3Place):
    name = "moto"

    def __init__(self):
        self.peer = Peer([program_beside_python("moto_server"), "-H", "127.0.0.1", "-p", "{port}"])
        super().__init__(("127.0.0.1", self.peer.port), self.peer.url)

    def close(self):
        super().close()
        self.peer.close()


class AzuritePlace(Place):
    name = "azurite"

    def __init__(self):
        self.peer = Peer(azurite_command(), seconds=60)
        super().__init__(("127.0.0.1", self.peer.port))
        self.client = azure_key.Client(self.peer.port, ACCOUNT, KEY)
        self.client.ok("PUT", "/outside", {"restype": "container"})

    def close(self):
        super().close()
        self.peer.close()

    def add(self, near, *options, link=None, status=0, command=("destination", "add", "far")):
        return cli(*command, "--data", near.data, "--provider", "azure", "--endpoint",
                   f"{(link or self.link).url}/{ACCOUNT}", "--bucket", "outside", "--path", "copy", "--account-key-file", "-",
                   *options, stdin=KEY, status=status)

    def blobs(self, **more):
        marker = ""
        while True:
            _, body = self.client.ok("GET", "/outside", {"restype": "container", "comp": "list", "prefix": PATH,
                                                         "marker": marker, **more})
            text = body.decode()
            yield from re.findall(r"<Blob>.*?</Blob>", text, re.S)
            marker = (re.findall(r"<NextMarker>([^<]*)</NextMarker>", text) or [""])[0]
            if not marker:
                return

    @staticmethod
    def key_of(blob):
        return re.search(r"<Name>([^<]*)</Name>", blob)[1][len(PATH):]

    def listing(self):
        return {self.key_of(b): re.search(r"<Etag>([^<]*)</Etag>", b)[1] for b in self.blobs()}

    def read(self, key):
        return self.client.ok("GET", f"/outside/{PATH}{key}")[1]

    def write(self, key, body):
        self.client.ok("PUT", f"/outside/{PATH}{key}", None, {"x-ms-blob-type": "BlockBlob", "x-ms-meta-x": "y"}, body)

    def unfinished(self):
        """Names that have nothing but unfinished blocks. Others' go when the blob is written, or in a week."""
        return sorted({self.key_of(b) for b in self.blobs(include="uncommittedblobs")} - set(self.listing()))


class GooglePlace(Place):
    name = "google"
    forgets = True

    def __init__(self):
        self.tokens = GoogleToken()
        self.peer = Peer(fake_gcs_command())
        self.behind = Behind(self.peer.port)
        self.bucket = self.behind.make_bucket()
        self.front = GoogleFront(self.peer.port, self.tokens)
        self.front.requests = self.tokens.requests = collections.deque(maxlen=16)
        super().__init__(("127.0.0.1", self.front.port))
        self.front.url = self.link.url  # uploads go on where they were begun
        self.account = self.peer.folder / "account.json"
        self.account.write_text(self.tokens.account_json())

    def close(self):
        super().close()
        self.front.close()
        self.tokens.close()
        self.peer.close()

    def add(self, near, *options, link=None, status=0, command=("destination", "add", "far")):
        return cli(*command, "--data", near.data, "--provider", "google", "--endpoint", (link or self.link).url,
                   "--bucket", self.bucket, "--path", "copy", "--service-account-json", self.account, "--token-endpoint",
                   self.tokens.url + "/token", *options, status=status)

    @staticmethod
    def small_put_of(_key):
        return "uploadType=multipart"

    def listing(self):
        status, text = self.behind.request("GET", f"/storage/v1/b/{self.bucket}/o?maxResults=100000")
        assert status == 200, text
        for upload in list(self.front.uploads.values()):
            if upload.done is not None:
                upload.bytes = bytearray()  # an hour's uploads need not stay in memory
        return {o["name"][len(PATH):]: f"{o['generation']} {o['md5Hash']}" for o in json.loads(text).get("items", [])}

    def read(self, key):
        return self.behind.bytes(self.bucket, PATH + key)

    def write(self, key, body):
        self.behind.put(self.bucket, PATH + key, body)

    def unfinished(self):
        return [u.resource.get("name") for u in self.front.uploads.values() if u.done is None and not u.dead]


KINDS = {kind.name: kind for kind in (HoldfastPlace, MotoPlace, AzuritePlace, GooglePlace)}


def open_place(name):
    return KINDS[name]()
