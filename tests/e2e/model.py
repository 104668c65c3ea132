"""A store in plain dictionaries: what S3 operations mean, written so that it is plainly right.

A method returns its result, or raises Refused with the codes that are right answers. Version ids are made by the real server, so the
methods that create a version are told the id that it gave.
"""

import hashlib


class Refused(Exception):
    def __init__(self, *codes):
        super().__init__(codes)
        self.codes = codes


class Version:
    def __init__(self, vid, body, tags=None, etag=None):
        self.vid, self.body, self.tags = vid, body, dict(tags or {})
        self.etag = etag or (None if body is None else hashlib.md5(body).hexdigest())

    @property
    def marker(self):
        return self.body is None


class Bucket:
    def __init__(self):
        self.versioning = None
        self.keys = {}     # key -> [Version], newest first, never empty
        self.uploads = {}  # upload id -> (key, {number: body})


def grouped(keys, prefix, delimiter):
    """What a listing shows of keys, in order: ("key", k) and ("prefix", p)."""
    shown = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = ("key", key) if cut < 0 else ("prefix", key[:cut + len(delimiter)])
        if entry not in shown:
            shown.append(entry)
    return shown


class Model:
    def __init__(self):
        self.buckets = {}

    def bucket(self, name):
        if name not in self.buckets:
            raise Refused("NoSuchBucket")
        return self.buckets[name]

    def create_bucket(self, name):
        if name in self.buckets:
            raise Refused("BucketAlreadyOwnedByYou", "OK")
        self.buckets[name] = Bucket()

    def delete_bucket(self, name):
        if self.bucket(name).keys:
            raise Refused("BucketNotEmpty")
        if self.bucket(name).uploads:
            raise Refused("BucketNotEmpty", "OK")
        del self.buckets[name]

    def set_versioning(self, name, status):
        self.bucket(name).versioning = status

    def find(self, name, key, vid=None):
        """The version that a read names; markers are refused as reads refuse them."""
        versions = self.bucket(name).keys.get(key, [])
        if vid is None:
            if not versions or versions[0].marker:
                raise Refused("NoSuchKey")
            return versions[0]
        for version in versions:
            if version.vid == vid:
                if version.marker:
                    raise Refused("MethodNotAllowed")
                return version
        raise Refused("NoSuchVersion")

    def current(self, name, key):
        try:
            return self.find(name, key)
        except Refused:
            return None

    def check_write(self, name, key, only_if):
        """only_if is None, "absent", or the ETag that must be there."""
        self.bucket(name)
        there = self.current(name, key)
        if only_if == "absent" and there:
            raise Refused("PreconditionFailed")
        if only_if not in (None, "absent"):
            if not there:
                raise Refused("NoSuchKey")
            if there.etag != only_if:
                raise Refused("PreconditionFailed")

    def add(self, name, key, version):
        bucket = self.bucket(name)
        expected = {None: (None,), "Suspended": ("null",)}.get(bucket.versioning)
        assert version.vid in expected if expected else version.vid not in (None, "null"), (version.vid, bucket.versioning)
        versions = bucket.keys.setdefault(key, [])
        if bucket.versioning == "Enabled":
            assert version.vid not in [v.vid for v in versions], "a version id came twice"
        else:
            version.vid = "null"
            versions[:] = [v for v in versions if v.vid != "null"]
        versions.insert(0, version)

    def put(self, name, key, body, vid, only_if=None, tags=None):
        self.check_write(name, key, only_if)
        self.add(name, key, Version(vid, body, tags))

    def get(self, name, key, vid=None):
        return self.find(name, key, vid)

    def delete(self, name, key, vid, told):
        """told is what the server said: {"DeleteMarker", "VersionId"}."""
        bucket = self.bucket(name)
        versions = bucket.keys.get(key, [])
        if vid is not None:
            bucket.keys[key] = [v for v in versions if v.vid != vid]
        elif bucket.versioning is None:
            bucket.keys[key] = [v for v in versions if v.vid != "null"]
        else:
            assert told.get("DeleteMarker") is True, told
            self.add(name, key, Version(told["VersionId"], None))
        if not bucket.keys[key]:
            del bucket.keys[key]

    def copy(self, source, key, svid, target, tkey, vid):
        self.bucket(target)
        try:
            version = self.find(source, key, svid)
        except Refused as e:
            raise Refused(*e.codes, "InvalidRequest") if e.codes == ("MethodNotAllowed",) else e
        if (source, key) == (target, tkey) and svid is None:
            raise Refused("InvalidRequest")
        self.add(target, tkey, Version(vid, version.body, version.tags))

    def set_tags(self, name, key, vid, tags):
        self.tagged(name, key, vid).tags = dict(tags)

    def tagged(self, name, key, vid):
        try:
            return self.find(name, key, vid)
        except Refused as e:
            raise Refused(*e.codes, "MethodNotAllowed")

    def begin(self, name, key, upload):
        self.bucket(name).uploads[upload] = (key, {})

    def upload(self, name, key, upload):
        found = self.bucket(name).uploads.get(upload)
        if found is None or found[0] != key:
            raise Refused("NoSuchUpload")
        return found[1]

    def part(self, name, key, upload, number, body):
        self.upload(name, key, upload)[number] = body

    def complete(self, name, key, upload, numbers, vid, smallest):
        parts = self.upload(name, key, upload)
        if not numbers:
            raise Refused("MalformedXML")
        wrong = []
        if any(n not in parts for n in numbers):
            wrong.append("InvalidPart")
        if any(len(parts.get(n, b"")) < smallest for n in numbers[:-1]):
            wrong.append("EntityTooSmall")
        if wrong:
            raise Refused(*wrong)  # any one of what is wrong is a right answer
        digests = b"".join(hashlib.md5(parts[n]).digest() for n in numbers)
        etag = f"{hashlib.md5(digests).hexdigest()}-{len(numbers)}"
        self.add(name, key, Version(vid, b"".join(parts[n] for n in numbers), etag=etag))
        del self.bucket(name).uploads[upload]

    def abort(self, name, key, upload):
        self.upload(name, key, upload)
        del self.bucket(name).uploads[upload]

    def listing(self, name, prefix, delimiter):
        keys = [k for k, versions in self.bucket(name).keys.items() if not versions[0].marker]
        return grouped(keys, prefix, delimiter)

    def version_listing(self, name, prefix):
        keys = sorted((k for k in self.bucket(name).keys if k.startswith(prefix)), key=str.encode)
        return [(k, v.vid, v.marker, i == 0) for k in keys for i, v in enumerate(self.bucket(name).keys[k])]

    def upload_listing(self, name):
        return sorted(((key, upload) for upload, (key, _) in self.bucket(name).uploads.items()), key=lambda u: u[0].encode())
