"""Rounds of model and reader: the model proposes, a reader corrects, and the next model learns from it.

Plain folders, no server. Paper 002 draws its references in five such rounds.
"""
