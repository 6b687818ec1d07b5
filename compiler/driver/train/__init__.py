"""Trains a model on text or digits; see loop.py."""
