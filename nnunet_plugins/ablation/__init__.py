"""The papers' tables as data, and plans that hold one configuration a row."""
