"""All JSON and OTLP routes of tracing as one router, for the manifest."""

from fastapi import APIRouter

from noria.tracing import (
    http,
    http_figures,
    http_imports,
    http_langfuse,
    http_langfuse_ingestion,
    http_langfuse_media,
    http_langfuse_scores,
    http_scores,
    otlp_http,
)

router = APIRouter()
router.include_router(http.router)
router.include_router(http_figures.router)
router.include_router(http_imports.router)
router.include_router(http_scores.router)
router.include_router(otlp_http.router)
router.include_router(http_langfuse.router)
router.include_router(http_langfuse_ingestion.router)
router.include_router(http_langfuse_scores.router)
router.include_router(http_langfuse_media.router)
