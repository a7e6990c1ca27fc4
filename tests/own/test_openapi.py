"""The document is served, complete, and true: schemathesis tries to break the running server with all its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from channels.own.api import openapi
from channels.own.api.problems import KINDS
from tests.own.shops import a_site

# A long run: STORESTUDIO_SCHEMATHESIS_EXAMPLES=100 STORESTUDIO_SCHEMATHESIS_PHASES=examples,coverage,fuzzing,stateful
EXAMPLES = os.environ.get("STORESTUDIO_SCHEMATHESIS_EXAMPLES", "2")
PHASES = os.environ.get("STORESTUDIO_SCHEMATHESIS_PHASES", "examples,fuzzing,stateful")
DOCUMENTED_ELSEWHERE = {"method-not-allowed"}  # for what is no operation


def test_every_kind_of_error_is_documented_with_an_example_of_its_own() -> None:
    document = openapi.document()
    found = set()
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                for media in answer["content"].values():
                    for name, example in media.get("examples", {}).items():
                        assert str(example["value"]["status"]) == status
                        jsonschema.validate(example["value"], {**document, "$ref": "#/components/schemas/ProblemOut"})
                        found.add(name)
    assert found == KINDS.keys() - DOCUMENTED_ELSEWHERE


def test_examples_of_answers_and_requests_are_as_described() -> None:
    document = openapi.document()
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                media = answer["content"].get("application/json")
                if media:
                    jsonschema.validate(media["example"], {**document, **media["schema"]})
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            jsonschema.validate(example, {**document, "$ref": f"#/components/schemas/{name}"})


@pytest.mark.django_db(transaction=True)
def test_the_running_server_keeps_to_the_document_under_all_checks(live_server, tmp_path, settings) -> None:
    settings.PUBLIC_URL = live_server.url
    openapi.document.cache_clear()
    # Goods with the SKU of the examples, so that holds and orders are really made.
    shop = a_site(units=100_000, skus=("LNO-M-SAND", "MUG"))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{live_server.url}/api/v1/openapi.json",
        "--header", f"Authorization: Bearer {shop.api.token}", "--checks", "all", "--phases", PHASES,
        "--max-examples", EXAMPLES,
        "--seed", "4711", "--no-color", "--generation-database", "none",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=600)
    finally:
        openapi.document.cache_clear()
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
    assert "Tested: 13" in done.stdout
    assert shop.level("LNO-M-SAND").last_seq > 1, "no hold was ever granted: nothing was tried"
