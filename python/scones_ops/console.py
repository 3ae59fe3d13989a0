"""What a command says while it works: one line a step on standard output, a bar for long work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


_COMMAND = re.compile(r"`make (?!local-|setup)([a-z -]+)`")
_named_target = ""


def speak_of_target(target: str) -> None:
    """Let every `make …` that is advised from here on name the target, unless it is the default one."""
    global _named_target
    _named_target = "" if target == "local" else target


def advise(message: str) -> str:
    """Return the message with its make commands as they have to be typed for the target."""
    return _COMMAND.sub(rf"`make \1 TARGET={_named_target}`", message) if _named_target else message


def say(message: str) -> None:
    """Print one line at once, so that it stands before the output of what it starts."""
    print(advise(message), flush=True)


def complain(message: str) -> None:
    """Print one line to standard error."""
    print(advise(message), file=sys.stderr, flush=True)


def progress(items: Iterable[T], *, total: int, label: str, unit: str = "it") -> Iterable[T]:
    """Yield `items` behind a progress bar on standard error; in a log, a line now and then."""
    terminal = sys.stderr.isatty()
    bar: Iterable[T] = tqdm(
        items, total=total, desc=label, unit=unit, file=sys.stderr, leave=terminal,
        delay=0.5 if terminal else 10.0,
        mininterval=0.1 if terminal else 10.0, ascii=not terminal, dynamic_ncols=terminal,
    )  # fmt: skip
    return bar
