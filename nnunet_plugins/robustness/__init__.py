"""How predictions hold when images get worse: noise, blur, bias field, coarser voxels, rotation."""
