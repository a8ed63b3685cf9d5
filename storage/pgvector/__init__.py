"""An index whose vectors are rows of the catalogue's PostgreSQL database, searched by pgvector."""
