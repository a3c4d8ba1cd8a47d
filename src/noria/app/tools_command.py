"""`noria tools`: what assistants may ask at /mcp, from the shell, directly on the data folder.

Whoever may read the data folder may do all of it, so the caller here has every permission of its project.
"""

from pathlib import Path

import click
import orjson

from noria.core.errors import BadInput
from noria.core.settings import load
from noria.governance.roles import of_role
from noria.governance.service import default_project
from noria.stores.connect import Stores
from noria.web import tools as kit
from noria.web.auth import Caller


@click.command()
@click.argument("name", default="")
@click.argument("arguments", default="{}")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data).")
def tools(name: str, arguments: str, data: Path | None) -> None:
    """List the tools of assistants, or call NAME with ARGUMENTS (JSON): noria tools search_traces '{"q": "status:error"}'."""
    from noria.app.slices import SLICES

    known = kit.of(SLICES)
    if not name:
        for tool in known.values():
            click.echo(f"{tool.name:20} {tool.description}")
            for field, about in tool.arguments.model_json_schema().get("properties", {}).items():
                click.echo(f"    {field:16} {about.get('description', '')}".rstrip())
        return
    try:
        given = orjson.loads(arguments)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise BadInput("The arguments are not an object of JSON.", hint="""For example '{"q": "status:error"}'.""")
    stores = Stores(load(data=data))
    try:
        with stores.database.read() as connection:
            project_id = default_project(connection, stores.settings.project)
        caller = Caller("key", "", "command line", project_id, "", of_role("admin"))
        _, answer = kit.call(known, stores, caller, name, given)
        click.echo(kit.written(answer))
    finally:
        stores.close()
