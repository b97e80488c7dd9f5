"""The five papers as data: topologies, ablation rows, tables and published scores."""
