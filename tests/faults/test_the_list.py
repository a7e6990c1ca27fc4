"""The list of public disasters (docs/faults.md) names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "docs" / "faults.md"


def named():
    """Each test named in the list, as (file, test)."""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        file = ""
        for path, name in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", line):
            file = path or file
            yield file, name


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_a_test_named_in_the_list_exists(file, name):
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_list_is_long_enough_to_be_the_list():
    assert len(set(named())) >= 30
