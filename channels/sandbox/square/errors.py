"""Square's errors: `{"errors": [{category, code, detail, field}]}` with the HTTP status of each."""

from typing import Any

REQUEST = "INVALID_REQUEST_ERROR"
AUTHENTICATION = "AUTHENTICATION_ERROR"
API = "API_ERROR"
RATE_LIMIT = "RATE_LIMIT_ERROR"
REFUND = "REFUND_ERROR"


class SquareError(Exception):
    """What the caller is told; everything the call did is undone."""

    def __init__(self, *, code: str, detail: str, field: str = "", status: int = 400, category: str = REQUEST) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.error = {"category": category, "code": code, "detail": detail}
        if field:
            self.error["field"] = field

    @property
    def body(self) -> dict[str, Any]:
        return {"errors": [self.error]}


def missing(field: str) -> SquareError:
    return SquareError(code="MISSING_REQUIRED_PARAMETER", detail="Missing required parameter.", field=field)


def invalid(field: str, detail: str) -> SquareError:
    return SquareError(code="INVALID_VALUE", detail=detail, field=field)


def not_found(detail: str, field: str = "") -> SquareError:
    return SquareError(code="NOT_FOUND", detail=detail, field=field, status=404)


def unauthorized(code: str = "UNAUTHORIZED") -> SquareError:
    return SquareError(code=code, detail="This request could not be authorized.", status=401, category=AUTHENTICATION)


def insufficient_scopes(scopes: tuple[str, ...]) -> SquareError:
    return SquareError(
        code="INSUFFICIENT_SCOPES",
        detail="The merchant has not given your application sufficient permissions to do that. "
        f"The merchant must authorize your application for the following scopes: {' '.join(scopes)}",
        status=403,
        category=AUTHENTICATION,
    )


def rate_limited() -> SquareError:
    return SquareError(
        code="RATE_LIMITED",
        detail="The number of requests has exceeded the rate limit. Try again later.",
        status=429,
        category=RATE_LIMIT,
    )


def server_error() -> SquareError:
    return SquareError(code="INTERNAL_SERVER_ERROR", detail="An internal error has occurred.", status=500, category=API)


def version_mismatch(field: str, *, given: object, current: int) -> SquareError:
    """A stale `version`. Seen by users as 400 VERSION_MISMATCH; the code is in no published list."""
    return SquareError(
        code="VERSION_MISMATCH",
        detail=f"Object version does not match latest database version: {given} given, {current} is current.",
        field=field,
    )
