"""One stack for the whole chain: trained and deployed once, removed whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chain_parts import Stack, new_stack, remove


@pytest.fixture(scope="package")
def empty_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = new_stack(tmp_path_factory.mktemp("chain"))
    yield stack
    remove(stack)


@pytest.fixture(scope="package")
def stack(empty_stack: Stack) -> Stack:
    """A stack with a trained model behind a live endpoint."""
    empty_stack.succeed("train")
    empty_stack.succeed("deploy")
    return empty_stack
