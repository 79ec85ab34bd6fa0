"""Apps as the gateway has them: their payloads and revisions, and how they are published, scaled and stopped."""
