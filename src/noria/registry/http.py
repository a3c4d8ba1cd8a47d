"""The JSON API of registry: what releases are made of, and releases themselves."""

from fastapi import APIRouter

from noria.registry import http_contents, http_langfuse, http_policies, http_prices, http_providers, http_releases

router = APIRouter(prefix="/api")
router.include_router(http_providers.router)
router.include_router(http_prices.router)
router.include_router(http_contents.router)
router.include_router(http_releases.router)
router.include_router(http_policies.router)
router.include_router(http_langfuse.router)
