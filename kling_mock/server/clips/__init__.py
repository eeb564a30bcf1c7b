"""Pre-rendered videos (`render.py` makes them); a package so that the script can be run by name."""
