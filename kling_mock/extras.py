"""What to type where something is missing that only an extra of the package brings."""

INSTALL_CONTRACT = "pip install 'kling-mock[contract]' (from a checkout: pip install '.[contract]')"
