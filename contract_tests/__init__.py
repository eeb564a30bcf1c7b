"""The contract tests: is what a target answers what the provider's documents say?"""
