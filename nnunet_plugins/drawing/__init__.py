"""Pictures of networks: what a plan makes of stages, sizes and blocks."""
