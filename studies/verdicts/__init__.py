"""Are the report's verdicts right? Made-up and real pairs of arms whose difference is known."""
