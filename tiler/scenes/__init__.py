"""Made-up survey scenes as a drone sees them, with exact labels, for the demo and the bundled model."""
