"""JSON API of prices: what this installation knows a million tokens to cost, and where it has it from."""

from typing import Annotated

from fastapi import APIRouter, Query

from noria.registry import prices
from noria.registry.prices import Price
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter(tags=["providers"])

Viewer = Annotated[Caller, allow("view")]


@router.get("/prices")
def list_prices(
    stores: StoresDep,
    _: Viewer,
    model: Annotated[
        str, Query(max_length=200, description="Only prices with this in the name of provider or model.")
    ] = "",
) -> dict[str, list[Price]]:
    """Prices of a million tokens in micro-dollars, the installation's own first; releases take theirs when they are made."""
    return {"items": prices.table(stores.settings.folder.prices).search(model)}
