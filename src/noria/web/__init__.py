"""The HTTP kit: application factory, auth guard, errors, paging, templates, static files. Knows no product noun."""
