"""Parts of a list that is known whole."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from channels.views.paging import part_of


@pytest.mark.parametrize(
    ("start", "rows", "words", "back", "next_"),
    [
        ("", [0, 1, 2], "1 to 3 of 7", "", "/rules/?q=mug&start=3"),
        ("3", [3, 4, 5], "4 to 6 of 7", "/rules/?q=mug", "/rules/?q=mug&start=6"),
        ("6", [6], "7 to 7 of 7", "/rules/?q=mug&start=3", ""),
        ("7", [0, 1, 2], "1 to 3 of 7", "", "/rules/?q=mug&start=3"),
        ("-1", [0, 1, 2], "1 to 3 of 7", "", "/rules/?q=mug&start=3"),
        ("²", [0, 1, 2], "1 to 3 of 7", "", "/rules/?q=mug&start=3"),
    ],
)
def test_a_part_and_its_neighbours_keep_the_search(start, rows, words, back, next_):
    request = RequestFactory().get("/rules/", {"q": "mug", "start": start})
    part = part_of(range(7), request=request, size=3)
    assert (list(part.rows), part.words, part.back_url, part.next_url) == (rows, words, back, next_)


def test_what_is_shown_whole_needs_no_words_and_no_neighbours():
    part = part_of(range(3), request=RequestFactory().get("/rules/"), size=3, path="/elsewhere/")
    assert (list(part.rows), part.words, part.back_url, part.next_url) == ([0, 1, 2], "", "", "")


def test_neighbours_lie_where_they_are_said_to_lie():
    part = part_of(range(4), request=RequestFactory().post("/approve/"), size=3, path="/preview/")
    assert part.next_url == "/preview/?start=3"
