"""Between which learning rates should it cycle?"""
