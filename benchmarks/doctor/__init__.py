"""Runs with known causes, and healthy ones that look like them: does the doctor tell them apart?"""
