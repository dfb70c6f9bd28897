"""Which schedule, peak rate and warm-up should a training have, and how sure is that?"""
