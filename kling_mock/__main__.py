"""`python -m kling_mock` is `kling-mock`."""

from kling_mock.cli import main

if __name__ == "__main__":
    main()
