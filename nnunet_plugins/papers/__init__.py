"""What the papers state, as data: one module per paper, named after its citation key.

:mod:`nnunet_plugins.papers.library` finds papers, tables, topologies and recipes.
"""
