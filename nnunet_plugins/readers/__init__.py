"""Reader studies: readers alone and assisted by a model, their calls, masks and minutes."""
