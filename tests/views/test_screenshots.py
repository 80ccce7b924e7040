"""Each scene as it is drawn now, held against its picture in docs/screenshots."""

import re
from pathlib import Path

import pytest

from tests.views.scenes import FOLDER, README, SCENES, Scene, drawn, with_keys


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_a_scene_is_drawn_as_its_picture_shows_it(scene: Scene, tmp_path: Path) -> None:
    picture = await drawn(scene)
    kept = FOLDER / f"{scene.name}.svg"
    (tmp_path / kept.name).write_text(picture, encoding="utf-8")
    # Compared as texts first: a difference in words is easier to read than one in coordinates.
    assert _texts(picture) == _texts(kept.read_text(encoding="utf-8")), f"{tmp_path / kept.name} is what is drawn now"
    assert picture == kept.read_text(encoding="utf-8"), f"`make screenshots` draws {kept.name} anew"


def test_every_picture_is_a_scene() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(scene.name for scene in SCENES)


def test_the_readmes_keys_are_those_of_the_action_table() -> None:
    assert README.read_text(encoding="utf-8") == with_keys(README.read_text(encoding="utf-8"))


def _texts(picture: str) -> list[str]:
    return re.findall(r"<text [^>]*>([^<]*)</text>", picture)
