"""What runs inside SageMaker: `train.py` in the training container, `inference.py` in the serving one.

Nothing here may import the rest of `scones_ops`: only this folder travels.
"""
