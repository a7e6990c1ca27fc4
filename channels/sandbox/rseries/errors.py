"""The vendor's refusals."""


class RSeriesError(Exception):
    """Undoes the request and becomes the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message
