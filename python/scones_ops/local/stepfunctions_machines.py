"""The API for state machines where moto lacks an operation or takes what AWS refuses.

API: https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import ValidationException
from moto.stepfunctions.models import StateMachine, StateMachineInstance
from moto.stepfunctions.parser.api import InvalidDefinition, StateMachineAlreadyExists
from moto.stepfunctions.parser.asl.parse.asl_parser import ASLParserException
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from scones_ops.local import roles
from scones_ops.local.stepfunctions_check import Problem, find_problems
from scones_ops.local.stepfunctions_executions import EXECUTIONS, stop
from scones_ops.local.stepfunctions_parse import parse


def install() -> None:
    """Complete the API for state machines."""
    StepFunctionsParserBackend._validate_definition = staticmethod(_refuse_bad_definition)
    StepFunctionResponse.validate_state_machine_definition = _validate_state_machine_definition
    StepFunctionResponse.list_state_machine_versions = _list_state_machine_versions
    _check_machines(StepFunctionsParserBackend)


def _refuse_bad_definition(definition: str) -> None:
    problems = _definition_problems(definition)
    if problems:
        raise InvalidDefinition(f"Invalid State Machine Definition: '{', '.join(map(str, problems))}'")


def _definition_problems(definition: str) -> list[Problem]:
    problems = find_problems(definition)
    if problems:
        return problems
    try:
        parse(definition)
    except ASLParserException as error:
        return [Problem("SCHEMA_VALIDATION_FAILED", str(error), "/")]
    except Exception as error:
        # Moto's reader raises many kinds for what it cannot take; all of them are faults of the definition.
        return [Problem("SCHEMA_VALIDATION_FAILED", f"{type(error).__name__}: {error}", "/")]
    return []


def _check_machines(backend: type[StepFunctionsParserBackend]) -> None:
    create, update, delete = (
        backend.create_state_machine, backend.update_state_machine, backend.delete_state_machine,
    )  # fmt: skip

    def create_state_machine(self: StepFunctionsParserBackend, name: str, **given: Any) -> StateMachine:
        _refuse_role(self.account_id, given["roleArn"])
        known = next((machine for machine in self.state_machines if machine.name == name), None)
        told = {field: value for field, value in given.items() if field in _TOLD}
        if known is not None and _identity(known) != _identity(StateMachineInstance("", name, **told)):
            raise StateMachineAlreadyExists(f"State Machine Already Exists: '{known.arn}'")
        return create(self, name=name, **given)

    def update_state_machine(self: StepFunctionsParserBackend, arn: str, **given: Any) -> StateMachine:
        if given.get("role_arn"):
            _refuse_role(self.account_id, given["role_arn"])
        return update(self, arn, **given)

    def delete_state_machine(self: StepFunctionsParserBackend, arn: str) -> None:
        for execution in EXECUTIONS.forget_machine(arn):
            if execution.status == "RUNNING":
                stop(execution, "States.Runtime", "The state machine was deleted")
        delete(self, arn)

    backend.create_state_machine = create_state_machine
    backend.update_state_machine = update_state_machine
    backend.delete_state_machine = delete_state_machine


_TOLD = ("definition", "roleArn", "sm_type", "loggingConfiguration", "tracingConfiguration")


def _identity(machine: StateMachineInstance) -> tuple[Any, ...]:
    """Return what must be the same for a machine to be created twice: role and tags need not be."""
    return machine.definition, machine.type, machine.loggingConfiguration, machine.tracingConfiguration


class _RoleRefused(ValidationException):  # type: ignore[misc]
    TYPE = "AccessDeniedException"


def _refuse_role(account: str, role_arn: str) -> None:
    if not roles.can_be_assumed_by(account, role_arn, "states.amazonaws.com"):
        raise _RoleRefused(
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized "
            "to assume the provided role."
        )


def _validate_state_machine_definition(self: StepFunctionResponse) -> ActionResult:
    problems = _definition_problems(self._get_param("definition") or "")
    diagnostics = [
        {"severity": "ERROR", "code": problem.code, "message": problem.message, "location": problem.location}
        for problem in problems
    ]
    return ActionResult(
        {"result": "FAIL" if problems else "OK", "diagnostics": diagnostics, "truncated": False}
    )


def _list_state_machine_versions(self: StepFunctionResponse) -> ActionResult:
    machine = self.stepfunction_backend.describe_state_machine(self._get_param("stateMachineArn"))
    versions = sorted(machine.versions.values(), key=lambda version: version.version, reverse=True)
    return ActionResult(
        {
            "stateMachineVersions": [
                {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date}
                for version in versions
            ]
        }
    )
