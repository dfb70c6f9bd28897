"""What answers each question of an experiment on the first screen of its report?"""
