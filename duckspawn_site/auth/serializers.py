"""Tokens as JSON."""

from typing import Any

from rest_framework import serializers

from duckspawn_site.auth.models import Token
from duckspawn_site.auth.roles import ROLES
from duckspawn_site.auth.tokens import DEFAULT_EXPIRES, BadExpiry, Wish, parse_expiry


class WishSerializer(serializers.Serializer):
    """What a new token should be."""

    role = serializers.ChoiceField(choices=list(ROLES), required=False, default="", allow_blank=True)
    scopes = serializers.ListField(child=serializers.CharField(max_length=100), required=False, default=list, max_length=1000)
    name = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)
    expires = serializers.CharField(
        required=False, default=DEFAULT_EXPIRES, help_text="30d, 12h, 45m, or an ISO 8601 duration such as P30D."
    )

    def validate_expires(self, text: str) -> Any:
        try:
            return parse_expiry(text)
        except BadExpiry as error:
            raise serializers.ValidationError(str(error)) from error

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A misspelt `scopes` must not give a token that reaches every table."""
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such field."))
        return attrs

    def wish(self) -> Wish:
        """The checked values. Raises ValidationError."""
        self.is_valid(raise_exception=True)
        return Wish(**{**self.validated_data, "scopes": tuple(self.validated_data["scopes"])})


class TokenSerializer(serializers.ModelSerializer):
    """A token without its secret."""

    created_at = serializers.DateTimeField(source="created", read_only=True)
    expires_at = serializers.DateTimeField(source="expiry", read_only=True)
    scopes = serializers.ListField(child=serializers.CharField(), read_only=True)
    role = serializers.ChoiceField(choices=list(ROLES), allow_blank=True, read_only=True)

    class Meta:
        model = Token
        fields = ["id", "name", "role", "scopes", "created_at", "expires_at", "last_used_at"]
        read_only_fields = fields


class NewTokenSerializer(TokenSerializer):
    """A token with its secret, which is shown this once."""

    token = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]
        read_only_fields = fields
