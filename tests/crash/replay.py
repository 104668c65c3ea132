#!/usr/bin/env python3
"""Builds the directories that a power cut may leave, from a log of record.c.

What a cut may do to operations that no sync has covered yet:

- a write is there, not there, or there in some of its 512-byte sectors, and
  whether one is there says nothing about another;
- a file's size follows the same rule, apart from the data;
- the names of one directory come and go in order: some first part of the
  changes since the directory was last synced is there. Directories are
  independent of each other, and syncing a file does nothing for its name;
- a file without a durable name is gone.

A sync covers what was complete when it began, once it has ended. A write
through a synchronous descriptor covers itself.

As a program it rebuilds one state, or lists a log:

    replay.py LOG list
    replay.py LOG build INDEX POLICY SEED DIRECTORY
"""

import collections
import fnmatch
import json
import mmap
import os
import random
import re
import struct
import sys

HEADER = struct.Struct("<IIQQQQIIII")
MAGIC = 0x43524648
(START, CREATE, TMPFILE, BIND, WRITE, TRUNCATE, ZERO, GROW, LINK, UNLINK,
 RENAME, SYNC_BEGIN, SYNC_END, BLIND) = range(1, 15)
MARK = 32
TYPES = {START: "start", CREATE: "create", TMPFILE: "tmpfile", BIND: "bind",
         WRITE: "write", TRUNCATE: "truncate", ZERO: "zero", GROW: "grow",
         LINK: "link", UNLINK: "unlink", RENAME: "rename",
         SYNC_BEGIN: "sync", SYNC_END: "synced", BLIND: "blind",
         MARK: "mark"}
KINDS = {1: "fsync", 2: "fdatasync", 3: "dsync", 4: "syncfs"}
SECTOR = 512
CHUNK = 65536

# lost: nothing unsynced is there. kept: everything is. data: all data and no
# names. names: all names and no data. Any other policy is drawn at random.
EXTREMES = ("lost", "kept", "data", "names")

Record = collections.namedtuple(
    "Record", "type id file offset length kind path1 path2 data")


class Marker:
    """Appends a test's own records to the log, from any thread or process."""

    def __init__(self, log):
        self.fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def mark(self, **what):
        data = json.dumps(what, separators=(",", ":")).encode()
        os.write(self.fd, HEADER.pack(MAGIC, MARK, 0, 0, 0, 0, 0, 0, 0,
                                      len(data)) + data)

    def close(self):
        os.close(self.fd)


def load(path):
    """The log's records, in order."""
    with open(path, "rb") as f:
        if os.fstat(f.fileno()).st_size == 0:
            return []
        log = memoryview(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))
    records, at = [], 0
    while at < len(log):
        (magic, kind_of, id_, file, offset, length, kind, length1, length2,
         data_length) = HEADER.unpack_from(log, at)
        if magic != MAGIC:
            raise ValueError(f"{path}: no record at byte {at}")
        at += HEADER.size
        path1 = bytes(log[at:at + length1]).decode()
        path2 = bytes(log[at + length1:at + length1 + length2]).decode()
        at += length1 + length2
        records.append(Record(kind_of, id_, file, offset, length, kind, path1,
                              path2, log[at:at + data_length]))
        at += data_length
    return records


def mark_of(record):
    return json.loads(bytes(record.data))


class File:
    """What is durable of a file, and what is not yet."""

    def __init__(self):
        self.chunks = {}
        self.size = 0
        self.pending = []  # [index, type, offset, length or data, durable]
        self.names = 0

    def change(self, index, type_, offset, what):
        item = [index, type_, offset, what, False]
        self.pending.append(item)
        return item

    def synced(self, before):
        for item in self.pending:
            if item[0] < before:
                item[4] = True
        self.fold()

    def fold(self):
        done = 0
        for _, type_, offset, what, durable in self.pending:
            if not durable:
                break
            done += 1
            if type_ == WRITE:
                self._write(offset, what)
            elif type_ == TRUNCATE:
                self._truncate(offset)
            elif type_ == ZERO:
                self._zero(offset, what)
            elif type_ == GROW:
                self.size = max(self.size, offset)
        del self.pending[:done]

    def _write(self, offset, data):
        self.size = max(self.size, offset + len(data))
        at = 0
        while at < len(data):
            number, inside = divmod(offset + at, CHUNK)
            n = min(CHUNK - inside, len(data) - at)
            chunk = self.chunks.get(number)
            if chunk is None:
                chunk = self.chunks[number] = bytearray(CHUNK)
            chunk[inside:inside + n] = data[at:at + n]
            at += n

    def _zero(self, offset, length):
        end = min(offset + length, self.size)
        while offset < end:
            number, inside = divmod(offset, CHUNK)
            n = min(CHUNK - inside, end - offset)
            if number in self.chunks:
                self.chunks[number][inside:inside + n] = bytes(n)
            offset += n

    def _truncate(self, size):
        if size < self.size:
            self._zero(size, self.size - size)
            for number in [n for n in self.chunks if n * CHUNK >= size]:
                del self.chunks[number]
        self.size = size

    def build(self, path, choice):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for number, chunk in self.chunks.items():
                at = number * CHUNK
                if at < self.size:
                    os.pwrite(fd, chunk[:self.size - at], at)
            size = self.size
            for _, type_, offset, what, durable in self.pending:
                if type_ == WRITE:
                    n = len(what)
                    for begin, end in choice.pieces(offset, n, durable):
                        os.pwrite(fd, what[begin:end], offset + begin)
                    if offset + n > size and (durable or choice.data()):
                        size = choice.grown(size, offset + n, durable)
                elif not (durable or choice.data()):
                    continue
                elif type_ == TRUNCATE:
                    os.ftruncate(fd, offset)
                    size = offset
                elif type_ == ZERO:
                    os.pwrite(fd, bytes(what), offset)
                elif type_ == GROW:
                    size = max(size, offset)
            os.ftruncate(fd, size)
        finally:
            os.close(fd)


class Directory:
    """What is durable of a directory's names, and what is not yet."""

    def __init__(self):
        self.durable = {}
        self.now = {}
        self.pending = []  # (index, [(name, inode or None)])

    def change(self, index, changes):
        self.pending.append((index, changes))
        self._apply(self.now, changes)

    def synced(self, before):
        done = 0
        for index, changes in self.pending:
            if index >= before:
                break
            self._apply(self.durable, changes)
            done += 1
        del self.pending[:done]

    @staticmethod
    def _apply(names, changes):
        for name, inode in changes:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode

    def chosen(self, choice):
        names = dict(self.durable)
        for _, changes in self.pending[:choice.names(len(self.pending))]:
            self._apply(names, changes)
        return names


class Choice:
    """What of the unsynced is there: one power cut's decisions."""

    def __init__(self, policy, seed):
        self.policy = policy if policy in EXTREMES else "random"
        self.rng = random.Random(f"{policy}/{seed}")
        self.share = self.rng.choice((0.1, 0.5, 0.9))

    def data(self):
        if self.policy == "random":
            return self.rng.random() < self.share
        return self.policy in ("kept", "data")

    def names(self, count):
        if self.policy == "random":
            return self.rng.choice((0, count, self.rng.randint(0, count)))
        return count if self.policy in ("kept", "names") else 0

    def pieces(self, offset, length, durable):
        """The parts of a write that are there, cut at sectors of the file."""
        if durable or self.policy != "random" or self.rng.random() < 0.6:
            return [(0, length)] if durable or self.data() else []
        first = -offset % SECTOR
        cuts = range(first or SECTOR, length, SECTOR)
        at = [0, *sorted(self.rng.sample(cuts, min(len(cuts), 5))), length]
        start = self.rng.randint(0, 1)
        return [(at[i], at[i + 1]) for i in range(start, len(at) - 1, 2)]

    def grown(self, old, new, durable):
        if durable or self.policy != "random" or self.rng.random() < 0.7:
            return new
        middle = self.rng.randint(old, new) // SECTOR * SECTOR
        return max(old, middle)


class Disk:
    """The directory as the log goes on. Apply its records in order; at any
    point build what a cut may leave there.

    SKIP names kinds of sync that are treated as if they had not been called:
    KIND or KIND:PATTERN, where the pattern is matched against what was synced
    as sync_class() writes it."""

    def __init__(self, image=None, skip=()):
        self.root = Directory()
        self.files = {}      # number -> inode
        self.syncs = {}      # sync id -> (index, number)
        self.dsync = {}      # write id -> its pending item
        self.index = 0
        self.skip = skip
        self.classes = collections.defaultdict(list)  # -> where they began
        self.blind = []
        self.skipped = 0
        if image is not None:
            self._image(self.root, image)

    def _image(self, directory, path):
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                inode = Directory()
                self._image(inode, entry.path)
            else:
                inode = File()
                with open(entry.path, "rb") as f:
                    inode._write(0, f.read())
            directory.durable[entry.name] = directory.now[entry.name] = inode

    def _find(self, path):
        inode = self.root
        for name in filter(None, path.split("/")):
            inode = inode.now[name]
        return inode

    def _parent(self, path):
        parent, _, name = path.rpartition("/")
        return self._find(parent), name

    def path_of(self, inode, below=None, prefix=""):
        below = self.root if below is None else below
        if inode is self.root:
            return "/"
        for name, child in below.now.items():
            if child is inode:
                return prefix + name + (
                    "/" if isinstance(child, Directory) else "")
            if isinstance(child, Directory):
                found = self.path_of(inode, child, prefix + name + "/")
                if found:
                    return found
        return None

    def sync_class(self, kind, inode):
        """fsync:extents/N/, fdatasync:(nameless), dsync:index/data.mdb ..."""
        if kind == "syncfs":
            return kind
        path = self.path_of(inode) or "(nameless)"
        return kind + ":" + re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "N", path)

    def _skips(self, kind, inode):
        name = self.sync_class(kind, inode)
        self.classes[name].append(self.index)
        for skip in self.skip:
            if name == skip or kind == skip or fnmatch.fnmatch(name, skip):
                self.skipped += 1
                return True
        return False

    def apply(self, r):
        i = self.index
        self.index += 1
        if r.type == MARK:
            return
        if r.type == WRITE:
            item = self.files[r.file].change(i, WRITE, r.offset, r.data)
            if r.kind and not self._skips("dsync", self.files[r.file]):
                self.dsync[r.id] = item
        elif r.type == SYNC_BEGIN:
            inode = self.files[r.file] if r.file else None
            if not self._skips(KINDS[r.kind], inode):
                self.syncs[r.id] = i
        elif r.type == SYNC_END:
            if KINDS[r.kind] == "dsync":
                item = self.dsync.pop(r.offset, None)
                if item is not None:
                    item[4] = True
                    self.files[r.file].fold()
            elif r.offset in self.syncs:
                before = self.syncs.pop(r.offset)
                for inode in ([self.files[r.file]] if r.file
                              else [self.root, *self.files.values()]):
                    inode.synced(before)
        elif r.type == CREATE:
            inode = Directory() if r.kind else File()
            self.files[r.file] = inode
            parent, name = self._parent(r.path1)
            parent.change(i, [(name, inode)])
        elif r.type == TMPFILE:
            self.files[r.file] = File()
        elif r.type == BIND:
            self.files[r.file] = self._find(r.path1)
        elif r.type in (TRUNCATE, GROW):
            self.files[r.file].change(i, r.type, r.offset, None)
        elif r.type == ZERO:
            self.files[r.file].change(i, ZERO, r.offset, r.length)
        elif r.type == LINK:
            parent, name = self._parent(r.path1)
            parent.change(i, [(name, self.files[r.file])])
        elif r.type == UNLINK:
            parent, name = self._parent(r.path1)
            parent.change(i, [(name, None)])
        elif r.type == RENAME:
            parent1, name1 = self._parent(r.path1)
            parent2, name2 = self._parent(r.path2)
            inode = parent1.now[name1]
            if parent1 is parent2:
                parent1.change(i, [(name1, None), (name2, inode)])
            else:
                parent2.change(i, [(name2, inode)])
                parent1.change(i, [(name1, None)])
        elif r.type == START:
            self.syncs.clear()
            self.dsync.clear()
            self.files.clear()
        elif r.type == BLIND:
            self.blind.append(r.path1)

    def build(self, path, policy, seed=0):
        """Makes PATH, which does not exist, what a cut may leave now."""
        os.mkdir(path, 0o700)
        self._build(self.root, path, Choice(policy, seed), {})

    def _build(self, directory, path, choice, built):
        for name, inode in sorted(directory.chosen(choice).items()):
            to = os.path.join(path, name)
            if isinstance(inode, Directory):
                os.mkdir(to, 0o700)
                self._build(inode, to, choice, built)
            elif id(inode) in built:
                os.link(built[id(inode)], to)
            else:
                inode.build(to, choice)
                built[id(inode)] = to


def differences(one, other, ignored=("lock",)):
    """What differs between two directories, as sentences. Names that contain
    a word of IGNORED are compared by name only."""
    found = []
    names1, names2 = set(os.listdir(one)), set(os.listdir(other))
    for name in sorted(names1 ^ names2):
        found.append(f"{name} is only in {one if name in names1 else other}")
    for name in sorted(names1 & names2):
        a, b = os.path.join(one, name), os.path.join(other, name)
        if os.path.isdir(a):
            found += differences(a, b, ignored)
        elif not any(word in name for word in ignored):
            with open(a, "rb") as f, open(b, "rb") as g:
                if f.read() != g.read():
                    found.append(f"{name} has other bytes in {one} and "
                                 f"{other}")
    return found


def describe(index, r):
    words = [f"{index:6}", f"{TYPES[r.type]:8}"]
    if r.type == MARK:
        return " ".join(words + [bytes(r.data).decode()])
    if r.file:
        words.append(f"#{r.file}")
    if r.kind in KINDS and r.type in (WRITE, SYNC_BEGIN, SYNC_END):
        words.append(KINDS[r.kind])
    if r.type in (WRITE, TRUNCATE, GROW, ZERO):
        words.append(f"at {r.offset}")
    if r.type == WRITE:
        words.append(f"{len(r.data)} bytes")
    return " ".join(words + [p for p in (r.path1, r.path2) if p])


def main(argv):
    records = load(argv[1])
    if argv[2:] == ["list"]:
        for index, r in enumerate(records):
            print(describe(index, r))
    elif len(argv) == 7 and argv[2] == "build":
        skip = os.environ.get("HOLDFAST_RECORD_SKIP", "").split()
        disk = Disk(skip=skip)
        for r in records[:int(argv[3])]:
            disk.apply(r)
        disk.build(argv[6], argv[4], argv[5])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv)
