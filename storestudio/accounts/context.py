from typing import Any

from django.http import HttpRequest


def frame(request: HttpRequest) -> dict[str, Any]:
    """What the frame of every page shows: the shop, and what this person may open."""
    return {}
