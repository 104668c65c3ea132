"""What a store must hold after a power cut, by the marks in the log.

Everything that a request can change is a register: an object, a version, an
upload, a part, a bucket, its tags. A request is a mark of intent, which says
what it sets each register to, and later perhaps a mark that it was answered
with success or refused. What a register may hold after a cut follows from
these alone:

- a value whose request had begun, and that no request has replaced which began
  after it had ended and was acknowledged before the cut;
- nothing, at first;
- never the value of a request that was refused, or had not begun.
"""

import collections
import math
import random

import replay

REGISTER_KINDS = ("bucket", "object", "version", "upload", "part",
                  "buckettags")


def body(seed, size):
    """The bytes of request SEED: they say whose they are."""
    head = b"bytes of request %d\n" % seed
    return (head + random.Random(seed).randbytes(size))[:size]


def bytes_of(value):
    """The bytes of an object register's value."""
    return b"".join(body(seed, size) for seed, size in value["parts"])


def value(*parts, tags=None):
    made = {"parts": [list(p) for p in parts]}
    if tags:
        made["tags"] = tags
    return made


def register(kind, *names):
    assert kind in REGISTER_KINDS
    return "\0".join((kind, *map(str, names)))


def split(name):
    return name.split("\0")


class Op:
    def __init__(self, number, begun, sets):
        self.number, self.begun, self.sets = number, begun, list(sets)
        self.end = math.inf  # it has no effect after this place
        self.sure = False    # it was acknowledged at `end`

    def __repr__(self):
        return f"request {self.number}"


class Model:
    def __init__(self, records):
        self.ops = {}
        self.ready = None  # where the first server was ready
        self.refused = set()
        for index, record in enumerate(records):
            if record.type == replay.MARK:
                self._mark(index, replay.mark_of(record))
        for number in self.refused:
            del self.ops[number]
        self.registers = collections.defaultdict(list)
        for op in self.ops.values():
            for name, what in op.sets:
                self.registers[name].append((op, what))

    def _mark(self, index, mark):
        if "op" in mark:
            self.ops[mark["op"]] = Op(mark["op"], index, mark["sets"])
        elif "ack" in mark:
            op = self.ops[mark["ack"]]
            op.end, op.sure = index, True
            op.sets += mark["sets"]
        elif "refused" in mark:
            self.refused.add(mark["refused"])
        elif "killed" in mark:
            for op in self.ops.values():
                op.end = min(op.end, index)
        elif "ready" in mark and self.ready is None:
            self.ready = index

    def legal(self, name, cut):
        """What the register may hold after a cut: [(value, Op or None)]."""
        begun = [(op, what) for op, what in self.registers[name]
                 if op.begun < cut]
        latest = max((op.begun for op, _ in begun if op.sure and op.end < cut),
                     default=-1)
        legal = [(what, op) for op, what in begun if op.end > latest]
        if latest < 0:
            legal.append((None, None))
        return legal

    def names(self, kind):
        return [name for name in self.registers if split(name)[0] == kind]

    def unsure(self, name, cut):
        """The values that a request without an answer may have given to
        something whose name nobody was told."""
        return [what for op, what in self.registers[name]
                if op.begun < cut and not op.sure]
