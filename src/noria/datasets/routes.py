"""All JSON routes of datasets as one router, for the manifest."""

from fastapi import APIRouter

from noria.datasets import http, http_langfuse

router = APIRouter()
router.include_router(http.router)
router.include_router(http_langfuse.router)
