"""Bearer tokens: hashed at rest, with an expiry, and narrower than their owner where a role or scopes say so."""

import uuid
from typing import ClassVar

from django.db import models
from knox.models import AbstractAuthToken, AuthTokenManager
from knox.settings import CONSTANTS

from duckspawn_site.auth.roles import ROLES
from schema_registry.rights import WHOLE


class Token(AbstractAuthToken):
    """One bearer token. Its rights are the meet of its role, its scopes and its owner's rights when it is used."""

    objects: ClassVar[AuthTokenManager] = AuthTokenManager()

    # The digest is knox's key. It stays unique, and an id that tells nothing is what people see.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=CONSTANTS.DIGEST_LENGTH, unique=True, editable=False)
    name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=20, blank=True, choices=[(r, r) for r in ROLES], help_text="Blank: all of its owner's rights.")
    scopes = models.JSONField(default=list, blank=True, help_text="The tables it reaches; none named: all of them.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return self.name or f"token {self.id}"

    def allows(self, right: str) -> bool:
        """Whether the token's role and scopes leave it the right; its owner is asked elsewhere."""
        return (not self.role or right in ROLES[self.role]) and not (self.scopes and right in WHOLE)

    @property
    def is_narrowed(self) -> bool:
        """Whether it may do less than its owner."""
        return bool(self.role or self.scopes)

    def allows_table(self, name: str) -> bool:
        """Whether the token reaches the table, whose name is compared without case."""
        return not self.scopes or name.casefold() in {scope.casefold() for scope in self.scopes}
