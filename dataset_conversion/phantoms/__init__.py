"""Synthetic patients, written in each dataset's own on-disk format."""
