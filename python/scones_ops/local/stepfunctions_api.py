"""The API for executions and Map runs where moto lacks an operation or takes what AWS refuses.

API: https://docs.aws.amazon.com/step-functions/latest/apireference/Welcome.html
"""

from __future__ import annotations

import copy
import json
import logging
import re
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import ValidationException
from moto.stepfunctions.models import StateMachine
from moto.stepfunctions.parser import api
from moto.stepfunctions.parser.api import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
    InvalidName,
    ResourceNotFound,
    StateMachineTypeNotSupported,
)
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.eval.states import StateData
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
    SyncExecution,
)
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.responses import StepFunctionResponse

from scones_ops.local.context import CONTEXT
from scones_ops.local.stepfunctions_executions import EXECUTIONS, stop
from scones_ops.local.stepfunctions_map_run import RUNS, abort_runs, find_child, timestamp
from scones_ops.local.web import COUNTERS

log = logging.getLogger("scones.local.states")

MAX_INPUT_BYTES = 262_144
_NAME = re.compile(r'[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}')
_FINAL = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")

_lock = threading.Lock()


def install() -> None:
    """Complete the API for executions."""
    COUNTERS["state machines"] = lambda: len(_backend().state_machines)
    COUNTERS["executions running"] = EXECUTIONS.count_running
    backend, response = StepFunctionsParserBackend, StepFunctionResponse
    _name_errors()
    backend.start_execution = start_execution
    backend.describe_execution = _describe_execution
    backend.describe_map_run = _describe_map_run
    backend.list_map_runs = _list_map_runs
    backend.update_map_run = _update_map_run
    response.start_sync_execution = _start_sync_execution
    response.describe_execution = _describe_execution_response
    response.list_executions = _list_executions_response(response.list_executions)
    response.stop_execution = _stop_execution_response
    response.get_execution_history = _history_response
    BaseExecutionWorkerCommunication.terminated = _terminated
    # Times in the context object: AWS writes milliseconds and Z.
    state_module.StateData = lambda EnteredTime, Name: StateData(
        EnteredTime=timestamp(datetime.fromisoformat(EnteredTime)), Name=Name
    )


def _name_errors() -> None:
    """Give the errors of moto's interpreter their names: they reach a client without."""
    errors: list[Any] = [kind for kind in vars(api).values() if isinstance(kind, type)]
    for error in errors:
        if issubclass(error, AWSError) and error is not AWSError and not error.TYPE:
            error.TYPE = error.__name__


def start_execution(
    self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None = None,
    execution_input: str | None = None, trace_header: str | None = None,
) -> Execution:  # fmt: skip
    """Start an execution and return it; without a name it gets one, as AWS's SDKs and console give it."""
    machine = self.describe_state_machine(state_machine_arn)
    text = _checked_input(execution_input)
    name = _checked_name(name)
    kind = "express" if machine.type == "EXPRESS" else "execution"
    arn = f"arn:aws:states:{self.region_name}:{self.account_id}:{kind}:{machine.name}:{name}"
    if kind == "express":
        arn += f":{uuid.uuid4()}"
    with _lock:
        known = EXECUTIONS.get(arn)
        if known is not None:
            if known.status == "RUNNING" and known.execution_input == text:
                return known
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{arn}'")
        execution = _execution(Execution, self, machine, name, arn, text, trace_header)
        machine.executions.append(execution)
        EXECUTIONS.add(execution, machine)
        execution.start()
    return execution


def _execution(
    kind: type[Execution], backend: StepFunctionsParserBackend, machine: StateMachine, name: str, arn: str,
    text: str, trace_header: str | None,
) -> Execution:  # fmt: skip
    started = datetime.now(UTC)
    execution = kind(
        name=name,
        sm_type=machine.type,
        role_arn=machine.roleArn,
        exec_arn=arn,
        account_id=backend.account_id,
        region_name=backend.region_name,
        # A snapshot: an update of the machine leaves running executions alone.
        state_machine=copy.copy(machine),
        start_date=started,
        cloud_watch_logging_session=None,
        input_data=text,
        trace_header=trace_header,
        activity_store={},
    )
    details = execution.get_start_execution_details()
    details.start_time = timestamp(started)
    execution.get_start_execution_details = lambda: details
    # It is listed and counted before its thread has begun.
    execution.exec_status = api.ExecutionStatus.RUNNING
    return execution


def _checked_input(text: str | None) -> str:
    text = "{}" if text is None else text
    if len(text.encode()) > MAX_INPUT_BYTES:
        raise ValidationException(
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_INPUT_BYTES}"
        )
    try:
        json.loads(text)
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from None
    return text


def _checked_name(name: str | None) -> str:
    if name is None:
        return str(uuid.uuid4())
    if not _NAME.fullmatch(name):
        raise InvalidName(f"Invalid Name: '{name}'")
    return name


def _describe_execution(self: StepFunctionsParserBackend, execution_arn: str) -> Execution:
    self._validate_execution_arn(execution_arn)
    execution = EXECUTIONS.get(execution_arn)
    if execution is None:
        raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{execution_arn}'")
    return execution


def _describe_map_run(self: StepFunctionsParserBackend, map_run_arn: str) -> dict[str, Any]:
    if map_run_arn not in RUNS:
        raise ResourceNotFound(f"Resource not found: '{map_run_arn}'")
    described: dict[str, Any] = RUNS[map_run_arn].record.describe()
    return described


def _list_map_runs(self: StepFunctionsParserBackend, execution_arn: str) -> dict[str, Any]:
    self.describe_execution(execution_arn)
    return {
        "mapRuns": [
            run.record.list_item() for run in RUNS.values() if run.record.execution_arn == execution_arn
        ]
    }


def _update_map_run(self: StepFunctionsParserBackend, map_run_arn: str, *values: Any, **given: Any) -> None:
    if map_run_arn not in RUNS:
        raise ResourceNotFound(f"Resource not found: '{map_run_arn}'")
    RUNS[map_run_arn].record.update(*values, **given)


def _start_sync_execution(self: StepFunctionResponse) -> ActionResult:
    """Run an Express machine to its end and answer with its output."""
    backend = self.stepfunction_backend
    machine = backend.describe_state_machine(self._get_param("stateMachineArn"))
    if machine.type != "EXPRESS":
        raise StateMachineTypeNotSupported(
            "This operation is not supported by this type of state machine: use StartExecution"
        )
    text, name = _checked_input(self._get_param("input")), _checked_name(self._get_param("name"))
    where = f"{backend.region_name}:{backend.account_id}"
    arn = f"arn:aws:states:{where}:express:{machine.name}:{name}:{uuid.uuid4()}"
    execution = _execution(SyncExecution, backend, machine, name, arn, text, self._get_param("traceHeader"))
    execution.start()
    answer = execution.to_start_sync_execution_output()
    milliseconds = (execution.stop_date - execution.start_date).total_seconds() * 1000
    answer["billingDetails"] = {
        "billedDurationInMilliseconds": -(-int(milliseconds) // 100) * 100, "billedMemoryUsedInMB": 64,
    }  # fmt: skip
    return ActionResult(answer)


def _describe_execution_response(self: StepFunctionResponse) -> ActionResult:
    arn = self._get_param("executionArn")
    child = find_child(arn)
    if child is not None:
        return ActionResult(child.description())
    execution = self.stepfunction_backend.describe_execution(arn)
    answer = execution.to_describe_output()
    answer["status"] = execution.status
    answer["input"] = execution.execution_input
    if answer.get("stopDate") is None:
        answer.pop("stopDate", None)
    return ActionResult({name: value for name, value in answer.items() if value is not None})


def _list_executions_response(original: Any) -> Any:
    def list_executions(self: StepFunctionResponse) -> ActionResult:
        run_arn = self._get_param("mapRunArn")
        if not run_arn:
            arn = self._get_param("stateMachineArn")
            if self.stepfunction_backend.describe_state_machine(arn).type == "EXPRESS":
                raise StateMachineTypeNotSupported(
                    "This operation is not supported by this type of state machine"
                )
            return original(self)
        if run_arn not in RUNS:
            raise ResourceNotFound(f"Resource not found: '{run_arn}'")
        wanted = self._get_param("statusFilter")
        shown = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate")
        listed = []
        for child in list(RUNS[run_arn].children.values()):
            if not wanted or child.status == wanted:
                description = child.description() | {"mapRunArn": run_arn}
                listed.append(
                    {name: description[name] for name in (*shown, "mapRunArn") if name in description}
                )
        return ActionResult({"executions": listed})

    return list_executions


def _stop_execution_response(self: StepFunctionResponse) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    if execution.sm_type == "EXPRESS":
        raise StateMachineTypeNotSupported("This operation is not supported by this type of state machine")
    if execution.status == "RUNNING":
        stop(execution, self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _history_response(self: StepFunctionResponse) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    events = list(execution.to_history_output()["events"])
    if self._get_param("reverseOrder"):
        events.reverse()
    first = int(self._get_param("nextToken") or 0)
    count = self._get_int_param("maxResults") or 1000
    answer: dict[str, Any] = {"events": events[first : first + count]}
    if first + count < len(events):
        answer["nextToken"] = str(first + count)
    return ActionResult(answer)


def _terminated(self: BaseExecutionWorkerCommunication) -> None:
    """Record the end of an execution: first its output or error, then the status that callers wait for."""
    execution = self.execution
    abort_runs(execution.exec_arn)
    if execution.status in _FINAL:
        EXECUTIONS.ended(execution)
        return
    state = execution.exec_worker.env.program_state()
    if type(state).__name__ == "ProgramEnded":
        execution.output = execution.exec_worker.env.states.get_input()
    self._reflect_execution_status()
    EXECUTIONS.ended(execution)
    if execution.status != "SUCCEEDED":
        log.info("%s %s %s", execution.exec_arn, execution.status, execution.error or "")


def _backend() -> StepFunctionsParserBackend:
    return stepfunctions_parser_backends[CONTEXT.account][CONTEXT.region]
