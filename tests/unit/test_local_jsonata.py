"""JSONata as state machines use it."""

import pytest

from scones_ops.local.stepfunctions_jsonata import ExpressionFailed, evaluate


def test_a_variable_is_a_value_and_never_part_of_the_expression() -> None:
    hostile = 'a"b\\ & $uuid() %} "'
    assert evaluate("$states.input.key", {"states": {"input": {"key": hostile}}}) == hostile


def test_null_is_a_result() -> None:
    assert evaluate("$x", {"x": None}) is None
    assert evaluate("{'a': $x.b}", {"x": {"b": None}}) == {"a": None}


def test_nothing_is_an_error_as_on_aws() -> None:
    with pytest.raises(ExpressionFailed, match="returned nothing"):
        evaluate("$states.input.missing", {"states": {"input": {}}})


def test_a_function_is_no_result() -> None:
    with pytest.raises(ExpressionFailed, match="unsupported result type"):
        evaluate("function($a) { $a }", {})


def test_an_error_of_the_expression_is_told() -> None:
    with pytest.raises(ExpressionFailed, match="threw an error"):
        evaluate("$number('x')", {})


def test_eval_is_refused_as_on_aws() -> None:
    with pytest.raises(ExpressionFailed, match="parse"):
        evaluate("$eval('1+1')", {})


def test_an_endless_expression_ends() -> None:
    with pytest.raises(ExpressionFailed):
        evaluate("($f := function($n) { $f($n + 1) + 1 }; $f(0))", {})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$partition([1,2,3,4,5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("$hash('x', 'SHA-1')", "11f6ad8ec52a2984abaafd7c3b516503785c2072"),
        ("$max([0.2, 0.9])", 0.9),
        ("$zip(['a', 'b'], [1, 2])", [["a", 1], ["b", 2]]),
    ],
)
def test_functions_that_aws_adds_are_there(expression: str, expected: object) -> None:
    assert evaluate(expression, {}) == expected


def test_random_with_a_seed_is_the_same_each_time() -> None:
    assert evaluate("$random(7)", {}) == evaluate("$random(7)", {})
    assert evaluate("$random()", {}) != evaluate("$random()", {})


def test_a_result_shares_nothing_with_its_variables() -> None:
    given = {"list": [1]}
    result = evaluate("$x", {"x": given})
    result["list"].append(2)
    assert given == {"list": [1]}
