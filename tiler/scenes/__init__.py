"""Made-up survey scenes as a drone sees them, with exact labels: what the demo and the bundled model are made of."""
