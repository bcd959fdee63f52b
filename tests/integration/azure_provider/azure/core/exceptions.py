"""The exceptions of Azure's client that the provider knows."""


class AzureError(Exception):
    """Any error."""


class ClientAuthenticationError(AzureError):
    """Credentials that Azure refuses."""
