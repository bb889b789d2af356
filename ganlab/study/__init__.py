"""From the runs of a study to its verdict: arms, statistics, judgements. Values only; numpy and scipy."""
