"""The monitoring app keeps nothing yet; this is where its one right is named."""

from django.db import models


class Operation(models.Model):
    """No table: it carries the right to operate the service."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("operate", "Can read metrics and set the log level")]

    def __str__(self) -> str:
        return "operation"
