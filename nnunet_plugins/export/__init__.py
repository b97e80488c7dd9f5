"""Export of predictions to clinical formats: .seg.nrrd, DICOM SEG and STL."""
