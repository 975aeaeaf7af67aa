"""What was done and how long it took, as it happens."""

import sys
import time
from contextlib import contextmanager

BEGUN = time.monotonic()


def say(text):
    print(f"    {time.monotonic() - BEGUN:7.1f} s  {text}", flush=True)


@contextmanager
def step(what):
    """A step of a story. A failure names it."""
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{what}: FAILED")
        raise
    say(f"{what} ({time.monotonic() - begun:.1f} s)")


class Failed(Exception):
    """What was expected, and what was seen instead."""


def expect(fact, seen=""):
    if not fact:
        raise Failed(seen if isinstance(seen, str) else repr(seen))


def equal(seen, right, what):
    if seen != right:
        raise Failed(f"{what}:\n  seen   {seen!r}\n  right  {right!r}")


def fail(error):
    print(f"terraform: {error}", file=sys.stderr)
    sys.exit(1)
