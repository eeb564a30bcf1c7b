"""Drift: recorded exchanges that the specs do not explain, each with the edit that would."""
