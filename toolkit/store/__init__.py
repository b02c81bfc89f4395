"""The results database: models, migrations, queries, export."""
