"""Notices to events: VTP through Comet, GCN Kafka, IGWN JSON and files."""
