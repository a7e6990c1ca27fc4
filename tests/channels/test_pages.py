import pytest

from tests.browser import scenes

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("scene_name", ["full", "fresh", "empty", "broken"])
def test_every_page_answers(client, scene_name):
    scene = getattr(scenes, scene_name)()
    client.force_login(scene.user)
    for name, path in scene.paths().items():
        assert client.get(path).status_code == 200, f"{name}: {path}"
