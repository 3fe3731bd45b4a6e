"""The Kubernetes API as its own releases describe it: OpenAPI schemas, from the package kubernetes-validate."""

from __future__ import annotations

from typing import Any, Final

import kubernetes_validate

__all__ = ["RELEASES", "check_object"]

OLDEST: Final = "1.30"
"""The first release with securityContext.appArmorProfile."""
RELEASES: Final = (OLDEST, kubernetes_validate.latest_version())


def check_object(document: dict[str, Any]) -> None:
    """Raises where a release does not have the object, or one of its fields, as it is written."""
    for release in RELEASES:
        kubernetes_validate.validate(document, release, strict=True)
