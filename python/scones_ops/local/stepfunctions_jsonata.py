"""JSONata in state machines, evaluated by `jsonata-python`; moto has no evaluator.

Semantics: https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html. Variables and
`$states` are handed to the evaluator as values, never pasted into the expression's text.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import uuid
from typing import Any

from jsonata import Jsonata
from jsonata.jexception import JException
from jsonata.utils import Utils
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.string.string_expression import (
    StringJSONata,
    StringVariableSample,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

# Evaluation is bounded, so that an endless expression ends its execution and not the server.
MAX_MILLISECONDS = 10_000
MAX_DEPTH = 200


class ExpressionFailed(Exception):
    """The expression has no result; the message says why, as AWS words it."""


def install() -> None:
    """Give moto's interpreter its evaluator."""
    StringJSONata._eval_body = _eval_expression
    StringVariableSample._eval_body = _eval_sample


def evaluate(expression: str, variables: dict[str, Any]) -> Any:
    """Return the value of a JSONata expression over `variables` (names without dollar sign), as plain JSON.

    Raises ExpressionFailed for an error, for nothing (undefined) and for a result that is no JSON.
    """
    bindings = {name: Utils.NULL_VALUE if value is None else value for name, value in variables.items()}
    try:
        parsed = Jsonata.jsonata(expression, timeout=MAX_MILLISECONDS, stack=MAX_DEPTH)
        for name, function in _FUNCTIONS.items():
            parsed.register_lambda(name, function)
        parsed.set_output_convert_nulls(False)
        raw = parsed.evaluate(None, bindings)
    except (JException, RecursionError, ValueError, TypeError, ArithmeticError) as error:
        raise ExpressionFailed(f"threw an error during evaluation. {error}") from None
    if raw is None:
        raise ExpressionFailed("returned nothing (undefined).")
    if (
        Utils.is_function(raw)
        or callable(raw)
        or (not isinstance(raw, _JSON_TYPES) and raw is not Utils.NULL_VALUE)
    ):
        raise ExpressionFailed("returned an unsupported result type.")
    # Through text: the result may share parts with the variables and holds the evaluator's own list types.
    try:
        return json.loads(json.dumps(Utils.convert_nulls(raw)))
    except (TypeError, ValueError):
        raise ExpressionFailed("returned an unsupported result type.") from None


_JSON_TYPES = (dict, list, str, bool, int, float)


def _eval_expression(self: StringJSONata, env: Any) -> None:
    try:
        env.stack.append(
            evaluate(self.expression, _variables(env) | {"states": _states(self.expression, env)})
        )
    except ExpressionFailed as failure:
        raise _query_evaluation_error(env, f"The JSONata expression '{self.expression}' {failure}") from None


def _eval_sample(self: StringVariableSample, env: Any) -> None:
    """Push the value of a variable reference of a JSONPath state, as `$order.id`."""
    variables = _variables(env)
    if self.query_language_mode.name == "JSONata":
        variables["states"] = _states(self.expression, env)
    try:
        env.stack.append(evaluate(self.expression, variables))
    except ExpressionFailed as failure:
        raise _query_evaluation_error(env, f"The variable '{self.expression}' {failure}") from None


def _variables(env: Any) -> dict[str, Any]:
    store = env.variable_store
    return {**store._outer_scope, **store._inner_scope}


def _states(expression: str, env: Any) -> dict[str, Any]:
    """Return `$states` of the state: input, context, and result or errorOutput where there is one."""
    if "$states" not in expression:
        return {}
    data = env.states._states_data
    states = {"input": data["input"]}
    if "context" in expression or "$states." not in expression:
        # Holds dates; these are text in JSON.
        states["context"] = json.loads(to_json_str(data["context"]))
    for name in ("result", "errorOutput"):
        if data.get(name) is not None:
            states[name] = data[name]
    return copy.copy(states)


def _query_evaluation_error(env: Any, cause: str) -> FailureEventException:
    name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(cause=cause, error=name.error_name)
    event_details = EventDetails(evaluationFailedEventDetails=details)
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.EvaluationFailed,
        event_details=event_details,
    )
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=name,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=event_details,
        )
    )


def _partition(array: list[Any], size: float) -> list[list[Any]]:
    return [list(array[at : at + int(size)]) for at in range(0, len(array), int(size))]


def _range(first: float, last: float, step: float) -> list[float]:
    if step == 0:
        raise ValueError("the step of $range is 0")
    return [first + index * step for index in range(max(int((last - first) // step) + 1, 0))]


def _hash(value: Any, algorithm: str = "SHA-256") -> str:
    names = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    if algorithm not in names:
        raise ValueError(f"$hash knows no algorithm {algorithm}")
    content = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return hashlib.new(names[algorithm], content.encode(), usedforsecurity=False).hexdigest()


def _random(seed: float | None = None) -> float:
    return random.Random(seed).random()  # noqa: S311 (AWS's is not for secrets either)


def _uuid() -> str:
    return str(uuid.uuid4())


def _parse(text: str) -> Any:
    value = json.loads(text)
    return Utils.NULL_VALUE if value is None else value


def _no_eval(*_arguments: Any) -> Any:
    raise ValueError("$eval is not supported: use $parse for JSON text")


# What AWS adds to JSONata, and the one function that it takes away.
_FUNCTIONS = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": _uuid,
    "parse": _parse,
    "eval": _no_eval,
}
