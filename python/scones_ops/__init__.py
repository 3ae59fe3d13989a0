"""Scones Unlimited's operations: pictures in, a trained model served on AWS, decisions and a report out."""

__version__ = "0.1.0"
