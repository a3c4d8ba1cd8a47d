"""The packaged model: joined once, checked, and never there under its name when it is damaged."""

import hashlib
from pathlib import Path

import pytest

from noria.core.folder import Folder
from noria.serving import package
from tests.serving.model_files import base_model


@pytest.mark.model
def test_the_joined_file_is_the_published_one() -> None:
    path = base_model()
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == package.SHA256


@pytest.mark.model
def test_joins_once(tmp_path: Path) -> None:
    base_model()
    folder = Folder(tmp_path)
    first = package.base_model(folder).stat()
    assert package.base_model(folder).stat().st_mtime_ns == first.st_mtime_ns
    assert [path.name for path in folder.models.iterdir()] == [package.model_path(folder).name]
