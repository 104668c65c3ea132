"""Compares a server with the model: what is wrong with it after a cut."""

import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
import s3raw

from promises import body, bytes_of, register, split
from workload import PLAIN, VERSIONED


class Reader:
    """Signed requests on one connection that is kept."""

    def __init__(self, server):
        self.client = s3raw.Client(server.address, server.host,
                                   server.access_key, server.secret_key)
        self.connection = self.client.connect()

    def close(self):
        self.connection.close()

    def ask(self, method, path, query=(), data=b"", headers=()):
        self.connection.send(self.client.build(
            method, path, list(query), list(headers), data,
            payload=hashlib.sha256(data).hexdigest()))
        answer = self.connection.read(method)
        if (answer.get("connection") or "").lower() == "close":
            self.connection.close()
            self.connection = self.client.connect()
        return answer

    def all_of(self, path, query, element):
        """Elements of a listing that fits one page."""
        answer = self.ask("GET", path, query)
        if answer.status != 200:
            raise Wrong(f"GET {path} {query} answers {answer}")
        tree = answer.xml()
        if tree.findtext("IsTruncated") == "true":
            raise Wrong(f"{path} {query}: more than a page")
        return tree, tree.iter(element)


class Wrong(Exception):
    pass


def say(what):
    """A register's value in few words."""
    if isinstance(what, dict) and "parts" in what:
        whose = " + ".join(f"request {s} ({n} bytes)"
                           for s, n in what["parts"])
        return whose + (f" tagged {what['tags']}" if "tags" in what else "")
    return str(what)


class Verifier:
    def __init__(self, model, cut, server):
        self.model, self.cut = model, cut
        self.reader = Reader(server)
        self.wrong = []
        self.seen = {}  # object register -> the value that was found

    def expect(self, name, found):
        """Notes a complaint unless the register may hold what was found."""
        legal = self.model.legal(name, self.cut)
        if not any(what == found for what, _ in legal):
            self.wrong.append(
                f"{' '.join(split(name))} is {say(found)}; legal: "
                f"{[say(what) for what, _ in legal]}")

    def run(self):
        """All complaints."""
        try:
            buckets = self.buckets()
            for bucket in sorted(buckets):
                self.objects(bucket)
                self.uploads(bucket)
            for name in self.model.names("object"):
                if split(name)[1] not in buckets:
                    self.expect(name, None)
            if VERSIONED in buckets:
                self.versions()
            self.completions()
            if PLAIN in buckets:
                self.still_writes()
        except Wrong as e:
            self.wrong.append(str(e))
        except s3raw.Closed as e:
            self.wrong.append(f"the server closed the connection {e}")
        finally:
            self.reader.close()
        return self.wrong

    def buckets(self):
        _, found = self.reader.all_of("/", [], "Bucket")
        found = {b.findtext("Name") for b in found}
        for name in self.model.names("bucket"):
            bucket = split(name)[1]
            self.expect(name, "there" if bucket in found else None)
        known = {split(n)[1] for n in self.model.names("bucket")}
        for bucket in found - known:
            self.wrong.append(f"bucket {bucket} was never asked for")
        for name in self.model.names("buckettags"):
            bucket = split(name)[1]
            if bucket in found:
                self.expect(name, self.tags(f"/{bucket}"))
        return found & known

    def tags(self, path):
        answer = self.reader.ask("GET", path, [("tagging", "")])
        if answer.status == 404 and answer.code == "NoSuchTagSet":
            return None
        if answer.status != 200:
            raise Wrong(f"tagging of {path} answers {answer}")
        return {t.findtext("Key"): t.findtext("Value")
                for t in answer.xml().iter("Tag")} or None

    def found(self, path, query, legal):
        """What an object holds, as the legal value whose bytes (and tags, if
        any legal one has some) it has, and the answer to GET."""
        answer = self.reader.ask("GET", path, query)
        if answer.status == 404:
            return None, None
        if answer.status != 200:
            raise Wrong(f"GET {path} answers {answer}")
        same = [what for what in legal
                if isinstance(what, dict) and answer.body == bytes_of(what)]
        if any("tags" in what for what in same):
            tags = self.tags(path)
            found = dict(same[0])
            found.pop("tags", None)
            if tags:
                found["tags"] = tags
            same = [what for what in same if what.get("tags") == tags] or [
                found]
        if same:
            return same[0], answer
        raise Wrong(f"GET {path} {query} gives {len(answer.body)} bytes "
                    f"{answer.body[:40]!r}; legal: "
                    f"{[say(w) for w in legal]}")

    def objects(self, bucket):
        _, listed = self.reader.all_of(f"/{bucket}", [("list-type", "2")],
                                       "Contents")
        listed = {c.findtext("Key"): (c.findtext("ETag"),
                                      int(c.findtext("Size")))
                  for c in listed}
        for name in self.model.names("object"):
            _, in_bucket, key = split(name)
            if in_bucket != bucket:
                continue
            legal = [w for w, _ in self.model.legal(name, self.cut)]
            try:
                what, answer = self.found(f"/{bucket}/{key}", [], legal)
            except Wrong as e:
                self.wrong.append(str(e))
                listed.pop(key, None)
                continue
            entry = listed.pop(key, None)
            if (what is None) != (entry is None):
                self.wrong.append(f"{bucket}/{key} is {say(what)} to GET and "
                                  f"{entry} to a listing")
            if what is not None:
                if entry and entry != (answer.get("ETag"), len(answer.body)):
                    self.wrong.append(f"{bucket}/{key} is listed as {entry}, "
                                      f"and GET says {answer.get('ETag')}")
                self.etag(f"{bucket}/{key}", answer, what)
            self.seen[name] = what
            self.expect(name, what)
        for key in listed:
            self.wrong.append(f"{bucket}/{key} is listed; nothing of it was "
                              f"ever accepted")

    def etag(self, path, answer, what):
        etag = (answer.get("ETag") or "").strip('"')
        if "-" not in etag and etag != hashlib.md5(answer.body).hexdigest():
            self.wrong.append(f"{path} has the ETag {etag}, not its MD5")

    def versions(self):
        path = f"/{VERSIONED}"
        tree, _ = self.reader.all_of(path, [("versions", "")], "Version")
        found = {}
        for kind in ("Version", "DeleteMarker"):
            for v in tree.iter(kind):
                found[(v.findtext("Key"), v.findtext("VersionId"))] = kind
        sure = False
        for name in self.model.names("version"):
            _, _, key, version = split(name)
            legal = [w for w, _ in self.model.legal(name, self.cut)]
            sure = sure or None not in legal
            kind = found.pop((key, version), None)
            if kind == "Version":
                what, _ = self.found(f"{path}/{key}",
                                     [("versionId", version)], legal)
            else:
                what = "marker" if kind else None
            self.expect(name, what)
        for (key, version), kind in found.items():
            unsure = self.model.unsure(register("object", VERSIONED, key),
                                       self.cut)
            if kind == "Version":
                self.found(f"{path}/{key}", [("versionId", version)], unsure)
            elif None not in unsure:
                self.wrong.append(f"{key} has a delete marker that nobody "
                                  f"asked for")
        answer = self.reader.ask("GET", path, [("versioning", "")])
        if sure and answer.xml().findtext("Status") != "Enabled":
            self.wrong.append(f"{VERSIONED} is not versioned any more")

    def uploads(self, bucket):
        _, found = self.reader.all_of(f"/{bucket}", [("uploads", "")],
                                      "Upload")
        found = {(u.findtext("Key"), u.findtext("UploadId")) for u in found}
        for name in self.model.names("upload"):
            _, of, key, upload = split(name)
            if of != bucket or upload == "unknown":
                continue
            there = (key, upload) in found
            found.discard((key, upload))
            self.expect(name, "open" if there else None)
            self.seen[name] = "open" if there else None
            if there:
                self.parts(bucket, key, upload)
        for key, upload in found:
            if not self.model.unsure(
                    register("upload", bucket, key, "unknown"), self.cut):
                self.wrong.append(f"upload {upload} of {key} was never begun")

    def parts(self, bucket, key, upload):
        """An open upload's parts: as listed, and their bytes, by completing
        it under the eyes of the test."""
        path = f"/{bucket}/{key}"
        _, listed = self.reader.all_of(path, [("uploadId", upload)], "Part")
        listed = {int(p.findtext("PartNumber")): (p.findtext("ETag"),
                                                  int(p.findtext("Size")))
                  for p in listed}
        for name in self.model.names("part"):
            _, of, of_key, of_upload, number = split(name)
            if (of, of_key, of_upload) != (bucket, key, upload):
                continue
            entry, found = listed.pop(int(number), None), None
            for what, _ in self.model.legal(name, self.cut):
                if what and entry:
                    etag = hashlib.md5(body(*what)).hexdigest()
                    if entry == (f'"{etag}"', what[1]):
                        found = what
            if entry and not found:
                self.wrong.append(f"part {number} of {upload} is {entry}")
            else:
                self.expect(name, found)
        if listed:
            self.wrong.append(f"{upload} has the parts {sorted(listed)} "
                              f"that were never sent")

    def completions(self):
        """A completed upload is gone when its object is there, and is open
        when it is not."""
        for name in self.model.names("upload"):
            if name not in self.seen:
                continue
            for op, what in self.model.registers[name]:
                other = [(n, w) for n, w in op.sets
                         if split(n)[0] == "object"]
                if what is not None or not other or op.begun >= self.cut:
                    continue
                target, whole = other[0]
                done = self.seen[name] is None
                have = self.seen.get(target) == whole
                alone = len(self.model.legal(target, self.cut)) == 2
                if (have and not done) or (
                        alone and done and not have and op.end >= self.cut):
                    self.wrong.append(
                        f"{op} is half done: upload "
                        f"{'gone' if done else 'open'}, object "
                        f"{'there' if have else 'not there'}")

    def still_writes(self):
        """The store goes on: what is written now can be read."""
        for i, size in enumerate((100, 400 * 1024)):
            path = f"/{PLAIN}/after/{i}"
            data = body(10 ** 9 + i, size)
            answer = self.reader.ask("PUT", path, data=data)
            if answer.status != 200:
                raise Wrong(f"PUT after the cut answers {answer}")
            answer = self.reader.ask("GET", path)
            if answer.body != data:
                raise Wrong(f"GET after the cut answers {answer}")
        for name in self.model.names("upload"):
            if self.seen.get(name) == "open":
                self.finish(*split(name)[1:])

    def finish(self, bucket, key, upload):
        path = f"/{bucket}/{key}"
        _, listed = self.reader.all_of(path, [("uploadId", upload)], "Part")
        parts = [(p.findtext("PartNumber"), p.findtext("ETag"))
                 for p in listed]
        if not parts:
            return
        whole = b""
        for number, etag in parts:
            name = register("part", bucket, key, upload, number)
            for op, what in self.model.registers[name]:
                data = body(*what)
                if hashlib.md5(data).hexdigest() == etag.strip('"'):
                    whole += data
                    break
        inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag>"
                        f"</Part>" for n, e in parts)
        answer = self.reader.ask(
            "POST", path, [("uploadId", upload)],
            f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"
            .encode())
        if answer.status != 200 or answer.code is not None:
            raise Wrong(f"completing {upload} after the cut: {answer}")
        answer = self.reader.ask("GET", path)
        if answer.body != whole:
            raise Wrong(f"{upload}, completed after the cut, has other bytes")
