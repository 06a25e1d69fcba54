"""Hugging Face models on this machine, through transformers. torch is imported when a model is first used."""

from .backend import HuggingFace

__all__ = ["HuggingFace"]
