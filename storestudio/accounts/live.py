"""Parts of pages that keep themselves current by polling, and cost a 204 while nothing has changed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

_PLACE = "digest-of-this-part"
# What differs between two renderings of the same facts: ages count by themselves, CSRF tokens are masked anew, and so
# is the key by which a form is done once.
_NOISE = re.compile(r'(?<=data-ago>)[^<]*|name="(?:csrfmiddlewaretoken|key)" value="[^"]*"')


def part(request: HttpRequest, template: str, context: dict[str, Any]) -> SafeString:
    """Render a part; its template puts `{{ digest }}` into its own address as `seen`."""
    html = render_to_string(template, {**context, "digest": _PLACE}, request=request)
    digest = hashlib.blake2s(_NOISE.sub("", html).encode(), digest_size=8).hexdigest()
    return mark_safe(html.replace(_PLACE, digest))  # noqa: S308  rendered with escaping a line above


def answer(request: HttpRequest, html: SafeString) -> HttpResponse:
    """The part, or 204 where the page shows the very same (`seen`) already."""
    seen = request.GET.get("seen", "")
    if seen and f"seen={seen}" in html:
        return HttpResponse(status=204)
    return HttpResponse(html)
