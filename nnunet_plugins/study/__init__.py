"""Studies: many trainings under one budget as one resumable run, on one machine or on a cluster."""
