"""Reads a state machine's definition once and keeps what was read.

Moto parses the definition anew for every execution, 6 ms and more each time; the parsed program holds no
state of an execution and is shared here.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any

from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

from scones_ops.local.patching import replace_everywhere

KEPT = 64

_parsed: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()
_parse = AmazonStateLanguageParser.parse


def install() -> None:
    """Make moto's interpreter use the kept programs."""
    AmazonStateLanguageParser.parse = staticmethod(parse)
    Preprocessor._inner_string_of = staticmethod(_inner_string_of)
    replace_everywhere("moto.stepfunctions", "from_string_literal", _inner_string_of)


def parse(definition: str) -> Any:
    """Return moto's (program, syntax tree) of the definition; raises its ASLParserException."""
    # The parser's lookup tables are shared and not safe for two threads at once.
    with _lock:
        found = _parsed.get(definition)
        if found is None:
            found = _parsed[definition] = _parse(_readable(definition))
        _parsed.move_to_end(definition)
        while len(_parsed) > KEPT:
            _parsed.popitem(last=False)
        return found


def _inner_string_of(parser_rule_context: Any) -> str | None:
    """Return the text of a JSON string in the definition; moto would leave its escapes in it."""
    written = parser_rule_context.getText()
    if written == "null":
        return None
    if written.startswith('"') and written.endswith('"'):
        try:
            return str(json.loads(written))
        except ValueError:
            return str(written[1:-1])
    return str(written)


def _readable(definition: str) -> str:
    """Return the definition in the words that moto's grammar knows.

    It has no EXPRESS children of a Map: here they run as STANDARD ones do, without the five minutes' limit.
    And it takes the tolerated percentage with decimals only.
    """
    if "EXPRESS" not in definition and "ToleratedFailurePercentage" not in definition:
        return definition
    return json.dumps(_rewritten(json.loads(definition)))


def _rewritten(value: Any) -> Any:
    if isinstance(value, list):
        return [_rewritten(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _rewritten(item) for name, item in value.items()}
    if changed.get("ExecutionType") == "EXPRESS" and "Mode" in changed:
        changed["ExecutionType"] = "STANDARD"
    if isinstance(changed.get("ToleratedFailurePercentage"), int):
        changed["ToleratedFailurePercentage"] = float(changed["ToleratedFailurePercentage"])
    return changed
