"""From the runs of a study to its verdict: arms, statistics, comparisons. Values only; numpy and scipy."""
