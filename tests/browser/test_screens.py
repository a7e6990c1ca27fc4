"""The script behind the pictures in docs/screens runs against a running instance."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import factories
from tests.browser import scenes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "screens" / "make.py"


def test_the_screens_script_makes_twenty_four_small_pictures(browser, live_server, tmp_path):
    scene = scenes.full()
    command = [sys.executable, SCRIPT, "--base-url", live_server.url, "--out", tmp_path]
    command += ["--email", scene.user.email, "--password", factories.PASSWORD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 24
    assert all(5_000 < picture.stat().st_size < 400_000 for picture in pictures)
