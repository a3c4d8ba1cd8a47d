"""What Langfuse's clients ask of access: which project is this key's?"""

from typing import Annotated, Any

from fastapi import APIRouter

from noria.governance import projects
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter(prefix="/public")


@router.get("/projects")
def langfuse_projects(stores: StoresDep, caller: Annotated[Caller, allow("read_prompts")]) -> dict[str, Any]:
    """The one project of the key; `auth_check()` asks for it."""
    with stores.database.read() as connection:
        project = projects.get_project(connection, caller.project_id)
    home = {"id": "noria", "name": "Noria"}
    return {"data": [{"id": project.id, "name": project.name, "organization": home, "metadata": {}}]}
