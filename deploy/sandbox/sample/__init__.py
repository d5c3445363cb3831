"""The sample estate: a public service's cluster in eu-west-2 with 15 days of metrics (docs/guide/sandbox.md)."""
