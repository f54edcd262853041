"""The system's keyring: Secret Service, KWallet, the macOS keychain, or a file. The one place that knows the library.

Rule: imported only where the configuration names a keyring. It may ask the user for a password and wait: not for the
event loop.
"""

from __future__ import annotations


class KeyringUnusable(Exception):
    """Why the keyring can't be asked, and what to do."""


def password(service: str, name: str) -> str | None:
    """The value that the keyring has for this name; None where it has none. Raises KeyringUnusable."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise KeyringUnusable(
            f"the package for keyrings is not installed ({error.name}): pip install 'local-orchestrator[secrets]'"
        ) from error
    try:
        return keyring.get_password(service, name)
    except (KeyringError, OSError, RuntimeError) as error:
        raise KeyringUnusable(f"{type(error).__name__}: {error}") from error
