"""A server whose monotonic clock a test can put forward, so that hours of waiting pass at once (later.c)."""

import mmap
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import desttool
import harness

LIBRARY = desttool.TOP / "build/tests/later.so"


class Later(harness.Server):
    def __init__(self, **how):
        if not LIBRARY.exists():
            subprocess.run(["make", "-s", str(LIBRARY.relative_to(desttool.TOP))], cwd=desttool.TOP, check=True)
        self.clock_file = tempfile.NamedTemporaryFile(prefix="holdfast-later.")
        self.clock_file.write(bytes(8))
        self.clock_file.flush()
        self.clock = mmap.mmap(self.clock_file.fileno(), 8)
        env = {"LD_PRELOAD": str(LIBRARY), "LATER_FILE": self.clock_file.name}
        super().__init__(env={**how.pop("env", {}), **env}, **how)
        self.passed = 0.0
        assert Path(self.clock_file.name).exists() and os.environ.get("LD_PRELOAD") is None

    def pass_time(self, seconds):
        self.passed += seconds
        self.clock[:8] = struct.pack("=q", int(self.passed * 1000))

    def close(self):
        try:
            super().close()
        finally:
            self.clock.close()
            self.clock_file.close()
