"""The experiments of the papers as data, one file per paper; `plan --recipe paper` plans them."""
