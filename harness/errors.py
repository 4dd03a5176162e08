"""The one kind of error that a user can cause, and the help that goes with it."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What the user asked for cannot be done. The message is one line: the thing, its value, the way out.

    The command line prints it without a traceback and exits with code 2.
    """


class BrokenFile(UserError):
    """A cell's or a task's own file is at fault, and not what was asked for: others can go on without it."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist, with the nearest ones that do.

    >>> print(unknown("cell", "gur", ["gru", "lstm", "rnn"]))
    unknown cell 'gur': did you mean gru?
    >>> print(unknown("option of gap-copy", "x", ["payload", "filler"]))
    unknown option of gap-copy 'x': known are filler, payload
    """
    names = sorted(known)
    for cutoff in (0.8, 0.5):  # the farther ones only where none is near: names of one family are all alike
        near = difflib.get_close_matches(name, names, n=3, cutoff=cutoff)
        if near:
            return UserError(f"unknown {kind} {name!r}: did you mean {' or '.join(near)}?")
    return UserError(f"unknown {kind} {name!r}: known are {', '.join(names) or 'none'}")
