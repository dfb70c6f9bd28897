"""Your own network and images: model.py and data.py are examples to replace.

DVC watches this folder: after an edit, the next run trains again. More is in docs/pipeline.md,
section "Your own data and model".
"""
