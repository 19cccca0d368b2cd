"""The contract of methods, models and datasets, checked by running them.

The tests check built-in components with it, `stillhouse check FILE` a custom component.
"""
