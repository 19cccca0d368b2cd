"""Rounds on a cluster: submit jobs through PBS or Slurm until the round is done."""
