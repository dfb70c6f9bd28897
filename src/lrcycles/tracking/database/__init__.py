"""How do the runs of many cells reach MLflow's database in few transactions?"""
