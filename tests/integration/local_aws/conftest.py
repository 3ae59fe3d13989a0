"""One local AWS for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_aws_parts import LocalAws, running


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with running(tmp_path_factory.mktemp("local-aws")) as server:
        yield server
