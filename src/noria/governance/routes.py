"""All routes of governance as two routers, for the manifest: the JSON API and the pages."""

from fastapi import APIRouter

from noria.governance import http, http_subjects, pages, pages_privacy

api = APIRouter()
api.include_router(http.router)
api.include_router(http_subjects.router)

pages_router = APIRouter()
pages_router.include_router(pages.router)
pages_router.include_router(pages_privacy.router)
