"""The history of the catalogue's schema, run by ``storage.catalog.schema``."""
