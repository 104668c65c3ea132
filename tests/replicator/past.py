"""Whether what is outside is a consistent past of what clients were told.

A history is what clients asked for, when each request began and when it was acknowledged. Requests for one key are made one
after another; those for different keys may overlap. What is outside is a past if some set of requests, closed under "was
acknowledged before another one of the set began", leaves each key as it is there.
"""

import itertools
import math
import threading

ABSENT = None


class Change:
    def __init__(self, key, value, begun):
        self.key, self.value, self.begun = key, value, begun
        self.ended = math.inf  # acknowledged; never for one whose answer was lost

    def __repr__(self):
        return f"{self.key}={self.value} ({self.begun}..{self.ended})"


class History:
    def __init__(self):
        self.changes = {}  # key: its changes, in the order of their requests
        self.lock = threading.Lock()
        self.clock = itertools.count(1)
        self.acknowledged = 0

    def begin(self, *sets):
        """One request sets each (key, value)."""
        with self.lock:
            now = next(self.clock)
            made = [Change(key, value, now) for key, value in sets]
            for change in made:
                self.changes.setdefault(change.key, []).append(change)
            return made

    def end(self, made):
        with self.lock:
            now = next(self.clock)
            self.acknowledged += 1
            for change in made:
                change.ended = now

    def taken(self):
        """A copy that does not go on."""
        with self.lock:
            return {key: list(changes) for key, changes in self.changes.items()}

    def removed(self):
        return {key for key, changes in self.taken().items() if any(c.value is ABSENT for c in changes)}


def candidates(changes, value):
    """How many of a key's changes may have been done for it to hold the value."""
    return [n for n in range(len(changes) + 1) if (changes[n - 1].value if n else ABSENT) == value]


def what_is_wrong(history, state):
    """Sentences. state: {key: value} of what is outside."""
    changes = history.taken()
    wrong = [f"{key} holds {value}, and nobody ever wrote the key" for key, value in state.items() if key not in changes]
    may, at = {}, {}
    for key, row in changes.items():
        may[key] = candidates(row, state.get(key, ABSENT))
        if not may[key]:
            wrong.append(f"{key} holds {state.get(key)}, which was never its value")
        else:
            at[key] = may[key][0]
    if wrong:
        return wrong
    # The least set: each change that is there asks for all that were acknowledged before it began. What is asked for of a key
    # grows with how far the others are, so going up from the least of each finds a set if there is one.
    asks = [key for key in at if at[key] > 0]
    while asks:
        key = asks.pop()
        # An earlier change of the key asks for no more than a later one.
        newest = changes[key][at[key] - 1]
        for other, row in changes.items():
            need = len(row)
            while need > at[other] and row[need - 1].ended >= newest.begun:
                need -= 1
            if need == at[other]:
                continue
            higher = [n for n in may[other] if n >= need]
            if not higher:
                return [f"{newest} is outside, and {row[need - 1]}, which was acknowledged before it began, is not: {other} "
                        f"holds {state.get(other)}"]
            at[other] = higher[0]
            asks.append(other)
    return []
