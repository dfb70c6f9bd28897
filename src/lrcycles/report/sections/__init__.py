"""What does each section of the report say?"""
