"""A bundle and a folder of photos, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.deployment.bundle import Bundle
from tests.deployment.bundles import write_bundle
from tests.deployment.photos import Photos, write_photos


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Photos]:
    """A folder of 150 photos, and what is in it."""
    folder = tmp_path_factory.mktemp("photos")
    return folder, write_photos(folder, 150)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of 32 bits."""
    return write_bundle(tmp_path_factory.mktemp("bundle"), 32)


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of embeddings with 16 dimensions."""
    return write_bundle(tmp_path_factory.mktemp("embeddings"), 0, 16)
