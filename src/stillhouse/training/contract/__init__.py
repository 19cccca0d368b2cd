"""What a method, a model or a dataset must keep to, checked by running it.

The tests use these checks for what is built in, `stillhouse check FILE` for a file of the user's.
"""
