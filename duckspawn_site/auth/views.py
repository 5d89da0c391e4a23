"""Tokens over REST: a name and password in, a bearer token out."""

from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from duckspawn_site.auth import tokens
from duckspawn_site.auth.authentication import TokenAuthentication
from duckspawn_site.auth.logins import BasicAuthentication
from duckspawn_site.auth.models import Token
from duckspawn_site.auth.serializers import NewTokenSerializer, TokenSerializer, WishSerializer


class Tokens(APIView):
    """One's own tokens."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        """A new token takes a name and password: a token cannot make tokens, nor can a page that rides on a session."""
        if getattr(self.request, "method", None) == "POST":
            return [BasicAuthentication()]
        return [TokenAuthentication(), SessionAuthentication(), BasicAuthentication()]

    @extend_schema(operation_id="list_tokens", responses=TokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Lists one's own tokens, without their secrets; a token that may do less than its owner sees itself alone."""
        return Response(TokenSerializer(_own(request), many=True).data)

    @extend_schema(operation_id="create_token", request=WishSerializer, responses={201: NewTokenSerializer})
    def post(self, request: Request) -> Response:
        """Makes a token by HTTP Basic. The answer shows its secret, this once."""
        token, secret = tokens.create(_person(request), WishSerializer(data=request.data).wish(), actor=request.user.get_username())
        return Response({**TokenSerializer(token).data, "token": secret}, status=201, headers={"Cache-Control": "no-store"})


class OneToken(APIView):
    """One token."""

    authentication_classes = [TokenAuthentication, SessionAuthentication, BasicAuthentication]

    @extend_schema(operation_id="revoke_token", request=None, responses={204: None})
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revokes one's own token; a superuser revokes anybody's."""
        token = Token.objects.filter(pk=token_id).select_related("user").first()
        if token is None or not _may_revoke(request, token):
            raise Http404
        tokens.revoke(token, actor=request.user.get_username())
        return Response(status=204)


def _person(request: Request) -> User:
    # IsAuthenticated has seen to it; this tells the type checker.
    assert isinstance(request.user, User)  # noqa: S101  # nosec B101
    return request.user


def _own(request: Request) -> QuerySet[Token]:
    """The tokens of the person who asks, or the one that they ask with where it is narrower than they are."""
    used: Any = request.auth
    return Token.objects.filter(user=request.user.pk, **({"pk": used.pk} if used is not None and used.is_narrowed else {}))


def _may_revoke(request: Request, token: Token) -> bool:
    """One's own, or any by a superuser; with a narrowed token that one alone."""
    used: Any = request.auth
    if used is not None and used.is_narrowed:
        return token.pk == used.pk
    return token.user_id == request.user.pk or _person(request).is_superuser
