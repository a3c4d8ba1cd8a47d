"""One set of migrations for SQLite and PostgreSQL; noria.app.schema runs them, scripts/migration.py writes them."""
