"""See, check and diagnose: readers of the reference equations, which cost training nothing."""
