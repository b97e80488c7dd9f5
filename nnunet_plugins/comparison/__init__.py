"""Runs beside each other: what a run is, what differs between two, tables for readers."""
