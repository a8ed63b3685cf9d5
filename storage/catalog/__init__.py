"""The source of truth about images, tasks and generations: SQL tables, their migrations, reads and writes."""
