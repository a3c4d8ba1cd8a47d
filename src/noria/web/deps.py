"""What handlers ask FastAPI for: the stores and settings of this process, as annotated types.

`def list_things(stores: StoresDep, caller: Annotated[Caller, allow("view")])`: the application puts both on `app.state`.
"""

from typing import Annotated

from fastapi import Depends, Request

from noria.core.settings import Settings
from noria.stores.connect import Stores


def _stores(request: Request) -> Stores:
    stores: Stores = request.app.state.stores
    return stores


def _settings(request: Request) -> Settings:
    return _stores(request).settings


StoresDep = Annotated[Stores, Depends(_stores)]
SettingsDep = Annotated[Settings, Depends(_settings)]
