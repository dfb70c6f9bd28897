"""Are the verdicts of the report right? Tests them on pairs of arms with a known difference."""
