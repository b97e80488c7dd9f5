"""Predictions in the formats that a clinic opens: .seg.nrrd, DICOM SEG, STL."""
