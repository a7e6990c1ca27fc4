"""What kind of value each field of a request must be; the wrong kind is told in Square's words."""

from collections.abc import Callable, Mapping
from typing import Any

from channels.sandbox.square.errors import SquareError

Kinds = Mapping[str, str]

# Kind -> the test, and the code of the error where it fails. null always passes: it means "not given".
TESTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "text": (lambda value: isinstance(value, str), "EXPECTED_STRING"),
    "texts": (
        lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
        "EXPECTED_ARRAY",
    ),
    "object": (lambda value: isinstance(value, dict), "EXPECTED_OBJECT"),
    "objects": (
        lambda value: isinstance(value, list) and all(isinstance(v, dict) for v in value),
        "EXPECTED_ARRAY",
    ),
    "flag": (lambda value: isinstance(value, bool), "EXPECTED_BOOLEAN"),
    "integer": (lambda value: isinstance(value, int) and not isinstance(value, bool), "EXPECTED_INTEGER"),
}


def check(body: Mapping[str, Any], kinds: Kinds, *, field: str = "") -> None:
    """Raise SquareError at the first field of the wrong kind; a dotted name looks inside objects."""
    for path, kind in kinds.items():
        value: Any = body
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        test, code = TESTS[kind]
        if value is not None and not test(value):
            place = f"{field}.{path}" if field else path
            raise SquareError(code=code, detail="The value is of the wrong kind.", field=place)
