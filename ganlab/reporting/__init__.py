"""What people see of runs: curves, grids, results, statistics."""
