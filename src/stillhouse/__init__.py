"""stillhouse: a workbench for knowledge-distillation research."""

__version__ = "0.2.0"
