"""Drives a destination's protocol through build/tests/dest_tool: see the head of dest_tool.c for the commands."""

import contextlib
import json
import os
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("HOLDFAST_DEST_TOOL", TOP / "build/tests/dest_tool"))


def word(text):
    if isinstance(text, str):
        text = text.encode()
    return urllib.parse.quote(text, safe="/:=@,") if text else "-"


class Fault(AssertionError):
    """A command failed: .answer says how."""

    def __init__(self, command, answer):
        super().__init__(f"{' '.join(str(c) for c in command)}: {answer}")
        self.answer = answer


class Tool:
    """One destination with one session. tool(command, ...) gives the answer, tool.ok(...) insists on success."""

    def __init__(self, *options, env=None, **fields):
        line = [str(PROGRAM), *[str(o) for o in options]]
        for name, value in fields.items():
            if value is True:
                line.append("--" + name.replace("_", "-"))
            elif value is not None:
                line += ["--" + name.replace("_", "-"), str(value)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**clean, **(env or {})})

    def __call__(self, *words):
        try:
            self.process.stdin.write(" ".join(word(str(w) if isinstance(w, int) else w) for w in words) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        assert line, f"dest_tool ended with {self.process.wait(10)} at {words}"
        return json.loads(line)

    def ok(self, *words):
        answer = self(*words)
        if not answer["ok"]:
            raise Fault(words, answer)
        return answer

    def bytes(self, key, offset, length):
        with tempfile.NamedTemporaryFile() as f:
            self.ok("get", key, offset, length, f.name)
            return Path(f.name).read_bytes()

    def keys(self, *words):
        return [e["key"] for e in self.ok("list", *words)["entries"]]

    def close(self):
        self.process.stdin.close()
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()
        assert status == 0, f"dest_tool exits {status}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *how):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


def pattern(length, offset=0):
    """The bytes that dest_tool sends for a file of "@N"."""
    return bytes((i * 2654435761 >> 13) & 0xff for i in range(offset, offset + length))


def open_fails(*options, **fields):
    """The sentence with which the destination refuses to be opened."""
    tool = Tool(*options, **fields)
    line = tool.process.stdout.readline()
    tool.process.kill()
    tool.process.wait(10)
    tool.process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        tool.process.stdin.close()
    answer = json.loads(line)
    assert not answer["ok"] and answer["kind"] == "open", answer
    return answer["text"]
