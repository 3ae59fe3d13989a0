"""What a command says while it works: one line a step on standard output, a bar for long work."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def say(message: str) -> None:
    """Print one line at once, so that it stands before the output of what it starts."""
    print(message, flush=True)


def progress(items: Iterable[T], *, total: int, label: str, unit: str = "it") -> Iterable[T]:
    """Yield `items` behind a progress bar on standard error; in a log, a line now and then."""
    terminal = sys.stderr.isatty()
    bar: Iterable[T] = tqdm(
        items, total=total, desc=label, unit=unit, file=sys.stderr, leave=terminal,
        delay=0.5 if terminal else 10.0,
        mininterval=0.1 if terminal else 10.0, ascii=not terminal, dynamic_ncols=terminal,
    )  # fmt: skip
    return bar
