"""What a process can be begun for, by tests of how they are begun."""

import os
import time


def asked(say, *what):
    """Say which process this is, its parent, and what it was asked."""
    say((os.getpid(), os.getppid(), what))


def failing(say):
    raise ValueError("it cannot be")


def silent(say):
    asked(say)
    time.sleep(60)
