"""A local AWS of its own for the SageMaker tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sagemaker_parts import LocalAws, started_server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One local AWS for all tests of this folder."""
    with started_server(tmp_path_factory.mktemp("local-aws")) as local:
        yield local
