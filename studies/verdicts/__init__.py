"""Are the verdicts of the report right?"""
