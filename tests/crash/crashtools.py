"""What the crash and fault tests share: compiling the preloads, scratch
directories in memory, and the split of work over the cores."""

import os
import pathlib
import shutil
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]


def compiled(source, out, *flags):
    """Compiles one C file of the tests, unless make has built it already."""
    built = TOP / "build" / "tests" / os.path.basename(out)
    source = TOP / source
    if built.exists() and built.stat().st_mtime >= source.stat().st_mtime:
        return str(built)
    subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-std=c17",
                    "-O2", "-g", "-Wall", "-Wextra", "-o", out, source,
                    *flags], check=True)
    return str(out)


def preload(source, directory):
    """The shared library made from SOURCE."""
    name = pathlib.Path(source).stem + ".so"
    return compiled(source, os.path.join(directory, name), "-shared",
                    "-fPIC", "-ldl")


class Scratch:
    """A directory in memory, where there is room for one: the states of a
    cut are built by the thousand and live for a moment."""

    def __init__(self, name):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        base = os.environ.get("HOLDFAST_TEST_SCRATCH", base)
        self.path = tempfile.mkdtemp(prefix=f"holdfast-{name}.", dir=base)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def spread(first, last, count):
    """COUNT places of the range, evenly; each at least once if there are
    fewer places than that."""
    places = last - first + 1
    return [first + i * places // count for i in range(count)]


def shares(items, workers):
    """Cuts a list into runs, one for each worker."""
    size = -(-len(items) // workers)
    return [items[i:i + size] for i in range(0, len(items), size)]
