"""How every command of `kling-mock` ends when it cannot go on: interrupted, unread, or with nowhere to write to.

One place for all of them: the group's own class, so that no command can forget it.
"""

from __future__ import annotations

import errno
import os  # noqa: TID251 - a command line, not the core
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

CANNOT, INTERRUPTED, UNREAD = 2, 130, 141
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What the system says of an output that takes no more."""


class Commands(click.Group):
    """A group whose commands end in order, with their help and the reading of their options."""

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        """Read the command line; --help and --version print here."""
        with orderly():
            return super().make_context(*words, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with orderly():
            return super().invoke(ctx)


@contextmanager
def orderly() -> Iterator[None]:
    """Ctrl-C ends with one line and 130, `| head` with none and 141, a full disk with one line and 2: never with 1,
    which says that something is refused.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo("kling-mock: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _write_no_more()
        sys.exit(UNREAD)
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise
        with suppress(OSError):  # standard error may be the one that is full: there is nobody left to tell
            click.echo(f"kling-mock: the output cannot be written: {error.strerror}", err=True)
        _write_no_more()
        sys.exit(CANNOT)


def _write_no_more() -> None:
    """What is left unwritten goes nowhere, or Python would try again when it ends, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
