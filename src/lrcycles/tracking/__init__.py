"""How do runs reach MLflow?"""
