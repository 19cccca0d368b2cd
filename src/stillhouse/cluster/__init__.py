"""Rounds on a cluster: which jobs to submit, through PBS or Slurm, until the round is done."""
