"""The address of Kubeflow Pipelines, as a person gives it."""

from urllib.parse import urlsplit

from emotion_ai.errors import InputError

# KFP's own variable: a file with the token of an account.
TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - a name, no token
_EXPECTED = "expected a URL such as http://localhost:8888"
_MAX_SHOWN = 100


def check_address(address: str) -> str:
    """Return the address without a slash at its end; raise `InputError` if it is none.

    What may be a password or a token is never shown.
    """
    address = address.strip()
    if not address:
        raise InputError(f"Kubeflow Pipelines' address is missing (--kfp); {_EXPECTED}")
    if "@" in address:
        # Whatever stands before it, and wherever it stands: urlsplit sees a port in some passwords.
        raise InputError(
            "Kubeflow Pipelines' address holds a user or a password; leave out all before the @ "
            f"and name a token's file in {TOKEN_VARIABLE}; {_EXPECTED}"
        )
    if "?" in address or "#" in address:
        raise InputError(
            "Kubeflow Pipelines' address has more than host and path; leave out what follows "
            f"? or #; {_EXPECTED}"
        )
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InputError(
            f"Kubeflow Pipelines' address {_shown(address)}: {error}; {_EXPECTED}"
        ) from None
    if not valid or not address.isprintable() or " " in address:
        raise InputError(f"Kubeflow Pipelines' address {_shown(address)}: {_EXPECTED}")
    return address.rstrip("/")


def _shown(address: str) -> str:
    return repr(address if len(address) <= _MAX_SHOWN else f"{address[:_MAX_SHOWN]}...")
