"""Step Functions: moto's interpreter of the Amazon States Language, made to act as AWS does.

Each part has a module: the calls that states make, JSONata, the API, Distributed Map.
"""

from __future__ import annotations

import logging
from pathlib import Path

from scones_ops.local import (
    stepfunctions_api,
    stepfunctions_clients,
    stepfunctions_jsonata,
    stepfunctions_machines,
    stepfunctions_map,
    stepfunctions_parse,
    stepfunctions_shapes,
)


def install(home: Path) -> None:
    """Make state machines of the local AWS execute as on AWS."""
    # The interpreter logs a state's whole syntax tree for every failure; we log the execution's own end.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    stepfunctions_parse.install()
    stepfunctions_clients.install()
    stepfunctions_shapes.install()
    stepfunctions_jsonata.install()
    stepfunctions_map.install()
    stepfunctions_machines.install()
    stepfunctions_api.install()
